"""The tap under aiohttp, on a real socket: every ending of a call is exactly one honest event."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import httpx
import pytest
from serving import free_port
from tap_server import ANSWER, EVENTS, STREAM, tap_server

from tollmeter.instrumentation import active, instrument, llm_call
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

REQUEST = {"model": "gpt-4o", "messages": [], "max_tokens": 9}


@pytest.fixture
def server() -> Iterator[Any]:
    with tap_server() as running:
        yield running


@pytest.fixture
def events(server: Any) -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    for _ in range(2):  # patched twice, counted once
        instrument(writer=writer, mode="lean", service="svc", providers={server.address: "openai"})
    yield writer
    active._default.clear()


def call_of(writer: MemoryWriter) -> LlmCall:
    gc.collect()
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    assert not [reason for reason in event.losses if reason.startswith("internal")]
    return event


def run(talk: Callable[[aiohttp.ClientSession], Awaitable[Any]], **settings: Any) -> Any:
    async def opened() -> Any:
        async with aiohttp.ClientSession(**settings) as session:
            return await talk(session)

    return asyncio.run(opened())


async def whole(session: aiohttp.ClientSession, url: str, case: str, **sent: Any) -> bytes:
    given: dict[str, Any] = sent or {"json": REQUEST}
    async with session.post(url, headers={"x-case": case}, **given) as response:
        return await response.read()


@pytest.mark.parametrize("case", ["plain", "gzip"])
@pytest.mark.parametrize("base_url", [True, False])
def test_a_plain_call(server: Any, events: MemoryWriter, case: str, *, base_url: bool) -> None:
    async def talk(session: aiohttp.ClientSession) -> Any:
        headers = {"x-case": case, "x-stainless-retry-count": "2"}
        url = "/v1/chat/completions" if base_url else server.url
        async with session.post(url, json=REQUEST, headers=headers) as response:
            return await response.json()

    settings = {"base_url": f"http://{server.address}"} if base_url else {}
    assert run(talk, headers={"authorization": "Bearer sk-1"}, **settings) == ANSWER
    call = call_of(events)
    assert (call.provider, call.operation, call.request_model) == ("openai", "chat", "gpt-4o")
    assert (call.status, call.http_status, call.stream, call.attempt, call.max_tokens) == ("ok", 200, False, 3, 9)
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, Decimal("0.00225"))
    assert (call.provider_request_id, call.ratelimit_remaining_tokens) == ("req_1", 99)
    assert len(call.credential_ref) == 16
    assert "sk-1" not in events.lines[0].decode()


@pytest.mark.parametrize(
    "data", ['{"model":"gpt-4o"}', b'{"model":"gpt-4o"}', aiohttp.JsonPayload({"model": "gpt-4o"})]
)
def test_a_body_of_any_kind(server: Any, events: MemoryWriter, data: Any) -> None:
    run(lambda session: whole(session, server.url, "plain", data=data))
    assert call_of(events).request_model == "gpt-4o"


def test_what_is_not_decompressed_by_the_session(server: Any, events: MemoryWriter) -> None:
    packed = run(lambda session: whole(session, server.url, "packed"), auto_decompress=False)
    assert packed[:2] == b"\x1f\x8b"
    assert (call_of(events).status, call_of(events).output_tokens) == ("ok", 50)


async def _lines(content: aiohttp.StreamReader) -> bytes:
    return b"".join([line async for line in content])


async def _any(content: aiohttp.StreamReader) -> bytes:
    return b"".join([part async for part in content.iter_any()])


async def _chunked(content: aiohttp.StreamReader) -> bytes:
    return b"".join([part async for part in content.iter_chunked(13)])


async def _chunks(content: aiohttp.StreamReader) -> bytes:
    return b"".join([part async for part, _ in content.iter_chunks()])


async def _until(content: aiohttp.StreamReader) -> bytes:
    found = b""
    while part := await content.readuntil(b"\n\n"):
        found += part
    return found


async def _exactly(content: aiohttp.StreamReader) -> bytes:
    return await content.readexactly(len(STREAM))


@pytest.mark.parametrize("case", ["cut:1", "cut:7", "cut:64", "cut:10000", "packed"])
@pytest.mark.parametrize("way", [_lines, _any, _chunked, _chunks, _until, _exactly])
def test_a_stream(server: Any, events: MemoryWriter, case: str, way: Callable[[Any], Awaitable[bytes]]) -> None:
    async def talk(session: aiohttp.ClientSession) -> bytes:
        body = REQUEST | {"stream": True}
        async with session.post(server.url, json=body, headers={"x-case": case}) as response:
            return await way(response.content)

    assert run(talk) == STREAM
    call = call_of(events)
    assert (call.status, call.stream, call.usage_source, call.finish_reason) == ("ok", True, "reported", "stop")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, Decimal("0.00225"))
    assert call.ttfb_ms is not None
    assert call.ttft_ms is not None
    assert call.ttfb_ms <= call.ttft_ms <= (call.latency_ms or 0.0)


@pytest.mark.parametrize("way", ["exit", "close", "release", "raise"])
def test_a_stream_left_early_is_partial(server: Any, events: MemoryWriter, way: str) -> None:
    async def talk(session: aiohttp.ClientSession) -> None:
        async with session.post(server.url, json=REQUEST, headers={"x-case": "waits"}) as response:
            assert await response.content.readuntil(b"\n\n") == EVENTS[0]
            if way == "raise":
                raise KeyError
            if way != "exit":
                getattr(response, way)()

    if way == "raise":
        with pytest.raises(KeyError):
            run(talk)
    else:
        run(talk)
    call = call_of(events)
    assert (call.status, call.error_type, call.usage_source) == ("partial", "", "missing")
    assert call.response_model == "gpt-4o-2024-08-06"


# aiohttp's own word on a response that nobody closed.
@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
def test_a_stream_never_iterated_is_one_partial_row(server: Any, events: MemoryWriter) -> None:
    async def talk(session: aiohttp.ClientSession) -> None:
        response = await session.post(server.url, json=REQUEST, headers={"x-case": "waits"})
        del response
        await asyncio.sleep(0.01)

    run(talk)
    assert call_of(events).status == "partial"


def test_a_stream_that_breaks(server: Any, events: MemoryWriter) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        run(lambda session: whole(session, server.url, "breaks"))
    call = call_of(events)
    assert (call.status, call.error_type) == ("error", "ClientPayloadError")
    assert call.ttft_ms is not None


@pytest.mark.parametrize("raising", [False, True])
def test_a_refused_call(server: Any, events: MemoryWriter, *, raising: bool) -> None:
    if raising:
        with pytest.raises(aiohttp.ClientResponseError):
            run(lambda session: whole(session, server.url, "refused:429"), raise_for_status=True)
    else:
        run(lambda session: whole(session, server.url, "refused:429"))
    call = call_of(events)
    assert (call.status, call.http_status, call.cost_usd) == ("error", 429, None)
    assert (call.provider_request_id, call.ratelimit_remaining_tokens) == ("req_1", 99)
    assert call.error_type == ("ClientResponseError" if raising else "rate_limit_exceeded")


def test_a_connection_that_fails(events: MemoryWriter) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/chat/completions"
    with pytest.raises(aiohttp.ClientConnectorError):
        run(lambda session: whole(session, url, "plain"))
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ClientConnectorError")


@pytest.mark.parametrize("case", ["hangs", "waits"])
def test_a_cancelled_call_is_partial(server: Any, events: MemoryWriter, case: str) -> None:
    async def talk(session: aiohttp.ClientSession) -> None:
        task = asyncio.ensure_future(whole(session, server.url, case))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(talk)
    assert (call_of(events).status, call_of(events).error_type) == ("partial", "CancelledError")


@pytest.mark.parametrize("case", ["hangs", "waits"])
@pytest.mark.parametrize("limit", ["total", "sock_read"])
def test_a_timeout_is_an_error(server: Any, events: MemoryWriter, case: str, limit: str) -> None:
    with pytest.raises(TimeoutError):
        run(lambda session: whole(session, server.url, case), timeout=aiohttp.ClientTimeout(**{limit: 0.1}))
    assert call_of(events).status == "error"
    assert call_of(events).error_type in {"TimeoutError", "SocketTimeoutError", "ServerTimeoutError"}


def test_an_unknown_host_is_seen_and_not_priced(server: Any, events: MemoryWriter) -> None:
    run(lambda session: whole(session, server.url.replace("127.0.0.1", "localhost"), "plain"))
    call = call_of(events)
    assert (call.provider, call.input_tokens, call.cost_status) == ("openai_compatible", 1000, "unpriced")


def test_what_is_no_model_call_is_left_alone(server: Any, events: MemoryWriter) -> None:
    run(lambda session: whole(session, f"http://{server.address}/v1/users", "plain"))
    with pytest.raises(aiohttp.InvalidURL):
        run(lambda session: whole(session, "http://", "plain"))
    assert events.lines == []


def test_an_outer_watch_silences_it(server: Any, events: MemoryWriter) -> None:
    async def talk(session: aiohttp.ClientSession) -> None:
        with llm_call(provider="openai", model="gpt-4o") as manual:
            await whole(session, server.url, "plain")
            manual.record_usage(input_tokens=10, output_tokens=5)

    run(talk)
    assert call_of(events).input_tokens == 10


def test_a_stream_read_through_httpx_over_it_is_counted_once(server: Any, events: MemoryWriter) -> None:
    class Body(httpx.AsyncByteStream):
        def __init__(self, inner: aiohttp.ClientResponse) -> None:
            self.inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self.inner.content.iter_any():
                yield part

        async def aclose(self) -> None:
            self.inner.release()

    async def talk(session: aiohttp.ClientSession) -> bytes:
        class Transport(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                inner = await session.post(str(request.url), data=await request.aread(), headers={"x-case": "cut:7"})
                headers = {"content-type": inner.headers["content-type"]}
                return httpx.Response(inner.status, headers=headers, stream=Body(inner))

        async with (
            httpx.AsyncClient(transport=Transport()) as http,
            http.stream("POST", server.url, json=REQUEST) as response,
        ):
            return await response.aread()

    assert run(talk) == STREAM
    assert (call_of(events).status, call_of(events).output_tokens) == ("ok", 50)
