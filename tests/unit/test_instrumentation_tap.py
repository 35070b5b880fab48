"""The tap over in-memory transports: every ending of a call is exactly one honest event."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any, cast

import httpx
import httpx2
import pytest

from tollmeter.instrumentation import active, evaluate, instrument, llm_call
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import Evaluation, LlmCall, decode

URL = "http://llm.test/v1/chat/completions"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def sse(*documents: Any, done: bool = True) -> list[bytes]:
    events = [b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n" for document in documents]
    return [*events, *([b"data: [DONE]\n\n"] if done else [])]


def chunk(delta: dict[str, Any], finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "gpt-4o-2024-08-06", "choices": [choice], "usage": usage}


STREAM = sse(
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hel"}),
    chunk({"content": "lo"}),
    chunk({}, finish="stop"),
    {"id": "c1", "model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE},
)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def client_module(request: pytest.FixtureRequest) -> ModuleType:
    return cast("ModuleType", request.param)


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    instrument(writer=writer, mode="lean", service="svc", providers={"llm.test": "openai"})
    yield writer
    active._default.clear()


def call_of(writer: MemoryWriter) -> LlmCall:
    gc.collect()
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    return event


def client(module: ModuleType, answer: Callable[[Any], Any]) -> Any:
    return module.Client(transport=module.MockTransport(answer))


def streaming(module: ModuleType, chunks: list[Any], headers: dict[str, str] | None = None) -> Any:
    class Body(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __iter__(self) -> Iterator[bytes]:
            for item in chunks:
                if isinstance(item, BaseException):
                    raise item
                yield item

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for item in self:
                await asyncio.sleep(0)
                yield item

    found = {"content-type": "text/event-stream"} | (headers or {})
    return lambda _request: module.Response(200, headers=found, stream=Body())


REQUEST = {"model": "gpt-4o", "messages": [], "max_tokens": 9}


def test_a_plain_call(client_module: ModuleType, events: MemoryWriter) -> None:
    headers = {"x-request-id": "req_1", "x-ratelimit-remaining-tokens": "99", "x-ratelimit-limit-requests": "500"}
    http = client(client_module, lambda _: client_module.Response(200, json=ANSWER, headers=headers))
    http.post(URL, json=REQUEST, headers={"authorization": "Bearer sk-1", "x-stainless-retry-count": "2"})
    call = call_of(events)
    assert (call.provider, call.operation, call.request_model) == ("openai", "chat", "gpt-4o")
    assert (call.response_model, call.finish_reason, call.service_tier) == ("gpt-4o-2024-08-06", "stop", "default")
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (1000, 50, 600)
    assert (call.status, call.http_status, call.stream, call.attempt, call.max_tokens) == ("ok", 200, False, 3, 9)
    assert (call.ratelimit_remaining_tokens, call.ratelimit_limit_requests) == (99, 500)
    assert call.provider_request_id == "req_1"
    # 400 x 2.50 + 600 x 1.25 + 50 x 10.00 per million
    assert (call.cost_usd, call.cost_status) == (Decimal("0.00225"), "priced")
    assert "sk-1" not in events.lines[0].decode()


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_stream_cut_anywhere(client_module: ModuleType, events: MemoryWriter, size: int) -> None:
    whole = b"".join(STREAM)
    pieces: list[Any] = [whole[at : at + size] for at in range(0, len(whole), size)]
    http = client(client_module, streaming(client_module, pieces))
    with http.stream("POST", URL, json=REQUEST | {"stream": True}) as response:
        assert b"".join(response.iter_bytes()) == whole
    call = call_of(events)
    assert (call.status, call.stream, call.usage_source, call.finish_reason) == ("ok", True, "reported", "stop")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, Decimal("0.00225"))
    assert call.ttfb_ms is not None
    assert call.ttft_ms is not None
    assert call.ttfb_ms <= call.ttft_ms <= (call.latency_ms or 0.0)


def test_an_async_stream_compressed_on_the_way(client_module: ModuleType, events: MemoryWriter) -> None:
    packed = gzip.compress(b"".join(STREAM))
    pieces: list[Any] = [packed[at : at + 10] for at in range(0, len(packed), 10)]

    async def run() -> bytes:
        transport = client_module.MockTransport(streaming(client_module, pieces, {"content-encoding": "gzip"}))
        async with (
            client_module.AsyncClient(transport=transport) as http,
            http.stream("POST", URL, json=REQUEST | {"stream": True}) as response,
        ):
            return b"".join([part async for part in response.aiter_bytes()])

    assert asyncio.run(run()) == b"".join(STREAM)
    assert (call_of(events).status, call_of(events).output_tokens) == ("ok", 50)


def test_a_stream_without_usage_is_missing_and_never_zero(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, sse(chunk({"content": "x"}), chunk({}, finish="stop"))))
    with http.stream("POST", URL, json=REQUEST) as response:
        response.read()
    call = call_of(events)
    assert (call.status, call.usage_source, call.cost_status) == ("ok", "missing", "unpriced")
    assert (call.input_tokens, call.cost_usd) == (None, None)


def test_a_stream_left_early_is_partial(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, STREAM))
    with http.stream("POST", URL, json=REQUEST) as response:
        next(response.iter_bytes())
    call = call_of(events)
    assert (call.status, call.usage_source, call.response_model) == ("partial", "missing", "gpt-4o-2024-08-06")


def test_a_stream_left_after_done_is_whole(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, [b"".join(STREAM), b"\n"]))
    with http.stream("POST", URL, json=REQUEST) as response:
        next(response.iter_bytes())
    assert (call_of(events).status, call_of(events).output_tokens) == ("ok", 50)


def test_a_stream_never_iterated_is_one_partial_row(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, STREAM))
    http.send(http.build_request("POST", URL, json=REQUEST), stream=True)
    assert call_of(events).status == "partial"


def test_a_stream_that_breaks_is_an_error_with_what_was_seen(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, [*STREAM[:2], client_module.ReadError("gone")]))
    with pytest.raises(client_module.ReadError), http.stream("POST", URL, json=REQUEST) as response:
        response.read()
    call = call_of(events)
    assert (call.status, call.error_type) == ("error", "ReadError")
    assert call.ttft_ms is not None


def test_an_error_inside_a_stream(client_module: ModuleType, events: MemoryWriter) -> None:
    broken = sse(chunk({"content": "x"}), {"error": {"code": "server_error", "message": "?"}}, done=False)
    http = client(client_module, streaming(client_module, broken))
    with http.stream("POST", URL, json=REQUEST) as response:
        response.read()
    assert (call_of(events).status, call_of(events).error_type) == ("error", "server_error")


@pytest.mark.parametrize(
    ("status", "body", "error_type"),
    [(429, {"error": {"code": "rate_limit_exceeded", "type": "requests"}}, "rate_limit_exceeded"), (500, {}, "500")],
)
def test_a_refused_call(
    client_module: ModuleType, events: MemoryWriter, status: int, body: Any, error_type: str
) -> None:
    http = client(client_module, lambda _: client_module.Response(status, json=body))
    http.post(URL, json=REQUEST)
    call = call_of(events)
    assert (call.status, call.http_status, call.error_type) == ("error", status, error_type)
    assert (call.cost_usd, call.cost_status) == (None, "unpriced")


def test_a_connection_that_fails(client_module: ModuleType, events: MemoryWriter) -> None:
    def refuse(_request: Any) -> Any:
        raise client_module.ConnectError("refused")

    losses.take()
    with pytest.raises(client_module.ConnectError):
        client(client_module, refuse).post(URL, json=REQUEST)
    assert losses.take() == {}
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ConnectError")


def test_a_cancelled_call_is_partial(client_module: ModuleType, events: MemoryWriter) -> None:
    async def hang(_request: Any) -> Any:
        await asyncio.sleep(60)

    async def run() -> None:
        async with client_module.AsyncClient(transport=client_module.MockTransport(hang)) as http:
            task = asyncio.ensure_future(http.post(URL, json=REQUEST))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert (call_of(events).status, call_of(events).error_type) == ("partial", "CancelledError")


def test_an_unknown_model_is_unpriced(client_module: ModuleType, events: MemoryWriter) -> None:
    answer = ANSWER | {"model": "in-house-7b"}
    http = client(client_module, lambda _: client_module.Response(200, json=answer))
    http.post(URL, json=REQUEST | {"model": "in-house-7b"})
    call = call_of(events)
    assert (call.input_tokens, call.cost_usd, call.cost_status) == (1000, None, "unpriced")


def test_an_unknown_host_is_seen_and_not_priced(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, lambda _: client_module.Response(200, json=ANSWER))
    http.post("http://vllm.internal:8000/v1/chat/completions", json=REQUEST)
    call = call_of(events)
    assert (call.provider, call.input_tokens, call.cost_status) == ("openai_compatible", 1000, "unpriced")


@pytest.mark.parametrize("url", ["http://llm.test/v1/models", "http://other.test/responses", "http://llm.test/"])
def test_what_is_no_model_call_is_left_alone(client_module: ModuleType, events: MemoryWriter, url: str) -> None:
    client(client_module, lambda _: client_module.Response(200, json={})).post(url, json={})
    assert events.lines == []


@pytest.mark.parametrize("body", [b"", b"[1]", b"not json", b'{"usage":7,"choices":[]}', b"\xff\xfe"])
def test_an_answer_that_is_not_understood_is_missing(
    client_module: ModuleType, events: MemoryWriter, body: bytes
) -> None:
    http = client(client_module, lambda _: client_module.Response(200, content=body))
    assert http.post(URL, content=b"{broken").content == body
    assert (call_of(events).status, call_of(events).usage_source) == ("ok", "missing")


def test_a_client_built_before_and_patched_twice_is_counted_once(client_module: ModuleType) -> None:
    http = client(client_module, lambda _: client_module.Response(200, json=ANSWER))
    writer = MemoryWriter()
    active._default.clear()
    for _ in range(2):
        instrument(writer=writer, mode="lean", providers={"llm.test": "openai"})
    http.post(URL, json=REQUEST)
    assert call_of(writer).input_tokens == 1000
    active._default.clear()


def test_a_manual_call_silences_the_tap_inside_it(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, lambda _: client_module.Response(200, json=ANSWER))
    with llm_call(provider="openai", model="gpt-4o") as manual:
        http.post(URL, json=REQUEST)
        manual.record_usage(input_tokens=10, output_tokens=5)
        manual.record_facts(service_tier="default", nonsense=1)
        call_id = manual.call_id
    call = call_of(events)
    assert (call.event_id, call.input_tokens, call.cost_usd) == (call_id, 10, Decimal("0.000075"))


def test_a_manual_call_that_raises(events: MemoryWriter) -> None:
    with pytest.raises(TimeoutError), llm_call(provider="openai", model="gpt-4o"):
        raise TimeoutError
    assert (call_of(events).status, call_of(events).error_type) == ("error", "TimeoutError")


def test_an_evaluation_and_one_that_is_refused(events: MemoryWriter) -> None:
    evaluate("01a2081d-591e-762a-82b3-01af3e9561ae", "relevance", 4, evaluator="judge")
    evaluate("01a2081d-591e-762a-82b3-01af3e9561ae", "relevance", float("nan"))
    evaluate("", "relevance", 1)
    (event,) = (decode(line) for line in events.lines)
    assert isinstance(event, Evaluation)
    assert (event.name, event.score, event.evaluator) == ("relevance", 4.0, "judge")


def test_without_instrument_nothing_happens(client_module: ModuleType) -> None:
    active._default.clear()
    http = client(client_module, lambda _: client_module.Response(200, json=ANSWER))
    assert http.post(URL, json=REQUEST).json() == ANSWER
    with llm_call(provider="openai", model="gpt-4o") as manual:
        manual.record_usage(input_tokens=1)
    assert manual.call_id == ""


@pytest.mark.parametrize(("hosts", "sent"), [(("llm.test",), True), (("*",), True), (("other.test",), False)])
def test_the_trace_is_passed_on_to_the_hosts_that_are_allowed(
    client_module: ModuleType, hosts: tuple[str, ...], sent: bool
) -> None:
    seen: list[str | None] = []

    def answer(request: Any) -> Any:
        seen.append(request.headers.get("traceparent"))
        return client_module.Response(200, json=ANSWER)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client(client_module, answer).post(URL, json=REQUEST)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(_message: Any) -> None:
        return

    writer = MemoryWriter()
    wrapped = instrument(app, writer=writer, mode="lean", providers={"llm.test": "openai"}, propagate_hosts=hosts)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(wrapped(scope, lambda: send(None), send))
    call = decode(writer.lines[0])
    assert isinstance(call, LlmCall)
    assert seen == ([f"00-{call.trace_id}-{call.span_id}-01"] if sent else [None])


ADVISED = [
    {
        "type": "message_start",
        "message": {
            "type": "message",
            "model": "claude-sonnet-4-5-20250929",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 90,
                "output_tokens": 1,
                "service_tier": "standard",
            },
        },
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {
            "output_tokens": 40,
            "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 40},
                {"type": "advisor_message", "model": "claude-opus-4-1-20250805", "input_tokens": 7, "output_tokens": 3},
            ],
        },
    },
    {"type": "message_stop"},
]


def test_an_inference_inside_a_call_is_a_call_of_its_own(client_module: ModuleType, events: MemoryWriter) -> None:
    http = client(client_module, streaming(client_module, sse(*ADVISED, done=False)))
    with http.stream("POST", "https://api.anthropic.com/v1/messages", json=REQUEST) as response:
        response.read()
    outer, inner = (decode(line) for line in events.lines)
    assert isinstance(outer, LlmCall)
    assert isinstance(inner, LlmCall)
    assert (outer.provider, outer.status, outer.finish_reason) == ("anthropic", "ok", "end_turn")
    assert (outer.input_tokens, outer.output_tokens, outer.cache_read_tokens) == (100, 40, 90)
    # 10 x 3 + 90 x 0.30 + 40 x 15, and 7 x 15 + 3 x 75, per million
    assert (outer.cost_usd, inner.cost_usd) == (Decimal("0.000657"), Decimal("0.00033"))
    assert outer.ttft_ms is not None
    assert (inner.response_model, inner.input_tokens, inner.output_tokens) == ("claude-opus-4-1-20250805", 7, 3)
    assert (inner.parent_span_id, inner.request_id) == (outer.span_id, outer.request_id)


@pytest.mark.parametrize(("seen", "status"), [(2, "partial"), (3, "ok")])
def test_a_stream_left_after_its_stop_reason_is_whole(
    client_module: ModuleType, events: MemoryWriter, seen: int, status: str
) -> None:
    http = client(client_module, streaming(client_module, sse(*ADVISED, done=False)))
    with http.stream("POST", "https://api.anthropic.com/v1/messages", json=REQUEST) as response:
        chunks = response.iter_raw()
        for _ in range(seen):
            next(chunks)
    call = decode(events.lines[0])
    assert isinstance(call, LlmCall)
    assert (call.status, call.output_tokens) == (status, 40 if seen == 3 else 1)


def test_gemini_is_read_by_its_path(client_module: ModuleType, events: MemoryWriter) -> None:
    documents = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 8}},
        {
            "candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}],
            "modelVersion": "gemini-2.5-flash",
            "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 20, "thoughtsTokenCount": 5},
        },
    ]
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    http = client(client_module, streaming(client_module, sse(*documents, done=False)))
    with http.stream("POST", url, json={"contents": []}, headers={"x-goog-api-key": "k"}) as response:
        response.read()
    call = call_of(events)
    assert (call.provider, call.request_model, call.stream) == ("gcp.gemini", "gemini-2.5-flash", True)
    assert (call.input_tokens, call.output_tokens, call.reasoning_tokens) == (8, 25, 5)
    assert (call.finish_reason, call.status, len(call.credential_ref)) == ("stop", "ok", 16)
    assert call.ttft_ms is not None


def test_a_line_without_end_is_passed_over_and_counted_once(client_module: ModuleType, events: MemoryWriter) -> None:
    losses.take()
    endless: list[Any] = [b"data: ", *[b"x" * (6 << 20)] * 3, b"data: x\n\n"]
    http = client(client_module, streaming(client_module, [*endless, *STREAM]))
    with http.stream("POST", URL, json=REQUEST) as response:
        response.read()
    call = call_of(events)
    assert (call.status, call.output_tokens) == ("ok", 50)
    assert call.losses == {"stream_line_over_16MiB": 1}
