"""The tap under requests, on a real socket: every ending of a call is exactly one honest event."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from serving import free_port
from tap_server import ANSWER, EVENTS, STREAM, tap_server

from tollmeter.instrumentation import active, instrument, llm_call
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

REQUEST: dict[str, Any] = {"model": "gpt-4o", "messages": [], "max_tokens": 9}


@pytest.fixture
def server() -> Iterator[Any]:
    with tap_server() as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture
def events(server: Any, session: requests.Session) -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    for _ in range(2):  # patched twice, counted once; and the session is older than the tap
        instrument(writer=writer, mode="lean", service="svc", providers={server.address: "openai"})
    yield writer
    active._default.clear()


def call_of(writer: MemoryWriter) -> LlmCall:
    gc.collect()
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    assert not [reason for reason in event.losses if reason.startswith("internal")]
    return event


def streamed(session: requests.Session, server: Any, case: str) -> requests.Response:
    return session.post(server.url, json=REQUEST | {"stream": True}, headers={"x-case": case}, stream=True)


@pytest.mark.parametrize("case", ["plain", "gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_plain_call(server: Any, session: requests.Session, events: MemoryWriter, case: str, *, stream: bool) -> None:
    headers = {"x-case": case, "authorization": "Bearer sk-1", "x-stainless-retry-count": "2"}
    assert session.post(server.url, json=REQUEST, headers=headers, stream=stream).json() == ANSWER
    call = call_of(events)
    assert (call.provider, call.operation, call.request_model) == ("openai", "chat", "gpt-4o")
    assert (call.status, call.http_status, call.stream, call.attempt, call.max_tokens) == ("ok", 200, False, 3, 9)
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, Decimal("0.00225"))
    assert (call.provider_request_id, call.ratelimit_remaining_tokens) == ("req_1", 99)
    assert "sk-1" not in events.lines[0].decode()


@pytest.mark.parametrize("case", ["cut:1", "cut:7", "cut:64", "cut:10000", "packed"])
@pytest.mark.parametrize("way", ["iter_content", "iter_lines", "content", "raw.read", "raw.read(n)", "raw.read1"])
def test_a_stream(server: Any, session: requests.Session, events: MemoryWriter, case: str, way: str) -> None:
    response = streamed(session, server, case)
    ways: dict[str, Callable[[], bytes]] = {
        "iter_content": lambda: b"".join(response.iter_content(13)),
        "iter_lines": lambda: b"".join(line + b"\n" for line in response.iter_lines()),
        "content": lambda: response.content,
        "raw.read": lambda: response.raw.read(decode_content=True),
        "raw.read(n)": lambda: b"".join(iter(lambda: response.raw.read(50, decode_content=True), b"")),
        "raw.read1": lambda: b"".join(iter(lambda: response.raw.read1(decode_content=True), b"")),
    }
    assert ways[way]() == STREAM
    call = call_of(events)
    assert (call.status, call.stream, call.usage_source, call.finish_reason) == ("ok", True, "reported", "stop")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, Decimal("0.00225"))
    assert call.ttfb_ms is not None
    assert call.ttft_ms is not None
    assert call.ttfb_ms <= call.ttft_ms <= (call.latency_ms or 0.0)


def test_a_stream_left_early_is_partial(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    with streamed(session, server, "waits") as response:
        assert next(response.iter_content(None)) == EVENTS[0]
    call = call_of(events)
    assert (call.status, call.usage_source, call.response_model) == ("partial", "missing", "gpt-4o-2024-08-06")


def test_a_stream_never_iterated_is_one_partial_row(
    server: Any, session: requests.Session, events: MemoryWriter
) -> None:
    streamed(session, server, "waits")
    # Without a collection: the tap must not keep the connection.
    assert len(events.lines) == 1
    assert call_of(events).status == "partial"


def test_a_stream_that_breaks(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    response = streamed(session, server, "breaks")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        list(response.iter_content(None))
    call = call_of(events)
    assert (call.status, call.error_type) == ("error", "ProtocolError")
    assert call.ttft_ms is not None


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_call(server: Any, session: requests.Session, events: MemoryWriter, *, stream: bool) -> None:
    session.post(server.url, json=REQUEST, headers={"x-case": "refused:429"}, stream=stream).close()
    call = call_of(events)
    assert (call.status, call.http_status, call.cost_usd) == ("error", 429, None)
    assert call.error_type == ("429" if stream else "rate_limit_exceeded")


def test_a_connection_that_fails(session: requests.Session, events: MemoryWriter) -> None:
    with pytest.raises(requests.ConnectionError):
        session.post(f"http://127.0.0.1:{free_port()}/v1/chat/completions", json=REQUEST)
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ConnectionError")


def test_a_timeout(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    with pytest.raises(requests.ReadTimeout):
        session.post(server.url, json=REQUEST, headers={"x-case": "hangs"}, timeout=0.05)
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ReadTimeout")


def test_an_unknown_host_is_seen_and_not_priced(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    session.post(server.url.replace("127.0.0.1", "localhost"), json=REQUEST)
    call = call_of(events)
    assert (call.provider, call.input_tokens, call.cost_status) == ("openai_compatible", 1000, "unpriced")


def test_what_is_no_model_call_is_left_alone(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    session.post(f"http://{server.address}/v1/users", json={})
    assert events.lines == []


def test_an_outer_watch_silences_it(server: Any, session: requests.Session, events: MemoryWriter) -> None:
    with llm_call(provider="openai", model="gpt-4o") as manual:
        session.post(server.url, json=REQUEST)
        manual.record_usage(input_tokens=10, output_tokens=5)
    assert call_of(events).input_tokens == 10
