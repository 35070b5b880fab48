"""What applications record themselves: answers of SDKs, fallbacks, and answers of their own cache."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tollmeter.instrumentation import active, fallback_from, instrument, llm_call, record_cache_hit
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE | {"total_tokens": 1050},
}
ZERO = Decimal(0)
COST = Decimal("0.00225")  # 400 x 2.50 + 600 x 1.25 + 50 x 10.00 per million


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    losses.take()
    instrument(writer=writer, mode="lean", service="svc", providers={"llm.test": "openai"})
    yield writer
    active._default.clear()


def calls_of(writer: MemoryWriter) -> list[LlmCall]:
    return [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]


def recorded(writer: MemoryWriter, *answers: Any, provider: str = "openai", model: str = "m", **more: Any) -> LlmCall:
    with llm_call(provider=provider, model=model, **more) as call:
        for answer in answers:
            call.record(answer)
    (event,) = calls_of(writer)
    return event


def test_an_answer_of_the_openai_sdk(events: MemoryWriter) -> None:
    answer = ChatCompletion.model_validate(CHAT)
    answer._request_id = "req_1"
    call = recorded(events, answer, model="gpt-4o")
    assert (call.request_model, call.response_model, call.service_tier) == ("gpt-4o", "gpt-4o-2024-08-06", "default")
    assert (call.finish_reason, call.provider_request_id, call.usage_source) == ("stop", "req_1", "reported")
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens, call.cost_usd) == (1000, 50, 600, COST)
    assert (call.status, call.ttft_ms, call.losses) == ("ok", None, {})


def chunks() -> list[ChatCompletionChunk]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None),
                                                       ({"content": "hi"}, None), ({}, "stop")]  # fmt: skip
    documents = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas] + [
        head | {"choices": [], "usage": USAGE | {"total_tokens": 1050}}
    ]
    return [ChatCompletionChunk.model_validate(document) for document in documents]


@pytest.mark.parametrize("as_list", [True, False])
def test_chunks_of_a_stream_are_merged(events: MemoryWriter, as_list: bool) -> None:
    answers = [chunks()] if as_list else chunks()
    call = recorded(events, *answers, model="gpt-4o", stream=True)
    assert (call.response_model, call.finish_reason, call.stream) == ("gpt-4o-2024-08-06", "stop", True)
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1000, 50, COST)
    assert call.ttft_ms is not None


ADVISED = [
    {"type": "message_start", "message": {"type": "message", "model": "claude-sonnet-4-5-20250929",
     "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1, "service_tier": "standard"}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40, "iterations": [
        {"type": "advisor_message", "model": "claude-opus-4-1-20250805", "input_tokens": 7, "output_tokens": 3}]}},
    {"type": "message_stop"},
]  # fmt: skip


def test_events_of_a_message_and_the_inference_inside_it(events: MemoryWriter) -> None:
    with llm_call(provider="anthropic", model="claude-sonnet-4-5", stream=True) as call:
        for event in ADVISED:
            call.record(event)
    outer, inner = calls_of(events)
    assert (outer.input_tokens, outer.output_tokens, outer.cache_read_tokens) == (100, 40, 90)
    assert (outer.finish_reason, outer.service_tier, outer.cost_usd) == ("end_turn", "standard", Decimal("0.000657"))
    assert outer.ttft_ms is not None
    assert (inner.response_model, inner.input_tokens, inner.cost_usd) == (
        "claude-opus-4-1-20250805", 7, Decimal("0.00033")
    )  # fmt: skip


def test_an_answer_of_converse(events: MemoryWriter) -> None:
    answer = {
        "ResponseMetadata": {"RequestId": "r1", "HTTPStatusCode": 200},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1000, "outputTokens": 10},
    }
    call = recorded(events, answer, provider="aws.bedrock", model="us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert (call.provider_request_id, call.http_status, call.finish_reason) == ("r1", 200, "end_turn")
    assert (call.input_tokens, call.output_tokens, call.cost_status) == (1000, 10, "priced")


def test_events_of_converse_stream(events: MemoryWriter) -> None:
    stream = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "hi"}}},
        {"messageStop": {"stopReason": "max_tokens"}},
        {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 6}, "serviceTier": {"type": "priority"}}},
    ]
    call = recorded(events, stream, provider="aws.bedrock", stream=True)
    assert (call.finish_reason, call.service_tier) == ("max_tokens", "priority")
    assert (call.input_tokens, call.output_tokens, call.losses) == (5, 6, {})
    assert call.ttft_ms is not None


def test_gemini_chunks_repeat_their_counts(events: MemoryWriter) -> None:
    parts = [{"content": {"parts": [{"text": "a"}]}}]
    stream = [
        {"candidates": parts, "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 2}},
        {"candidates": [{"finishReason": "STOP"}], "modelVersion": "gemini-2.5-flash",
         "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 20}},
    ]  # fmt: skip
    call = recorded(events, stream, provider="gcp.gemini", stream=True)
    assert (call.input_tokens, call.output_tokens, call.finish_reason) == (8, 20, "stop")
    assert call.response_model == "gemini-2.5-flash"


def test_langchain_chunks_are_differences(events: MemoryWriter) -> None:
    def chunk(into: int, out: int, **said: str) -> dict[str, Any]:
        usage = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
        return {"type": "AIMessageChunk", "content": "a", "response_metadata": said, "usage_metadata": usage}

    stream = [chunk(1000, 0, model_name="claude-sonnet-4-5"), chunk(0, 40, stop_reason="end_turn")]
    call = recorded(events, stream, provider="anthropic", stream=True)
    assert (call.input_tokens, call.output_tokens) == (1000, 40)
    assert (call.response_model, call.finish_reason) == ("claude-sonnet-4-5", "end_turn")


def test_the_last_event_of_cohere(events: MemoryWriter) -> None:
    billed = {"billed_units": {"input_tokens": 5, "output_tokens": 10}}
    stream = [{"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
              {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": billed}}]  # fmt: skip
    call = recorded(events, stream, provider="cohere", model="command-r")
    assert (call.input_tokens, call.output_tokens, call.finish_reason) == (5, 10, "complete")


def test_a_realtime_event_as_it_comes_over_the_websocket(events: MemoryWriter) -> None:
    done = {"type": "response.done", "response": {"object": "realtime.response", "status": "completed",
            "usage": {"input_tokens": 100, "output_tokens": 20, "input_token_details": {"cached_tokens": 64},
                      "output_token_details": {"audio_tokens": 15}}}}  # fmt: skip
    call = recorded(events, json.dumps(done), model="gpt-4o-realtime")
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (100, 20, 64)
    assert (call.output_audio_tokens, call.finish_reason) == (15, "completed")


def test_an_error_in_the_answer_is_an_error(events: MemoryWriter) -> None:
    call = recorded(events, {"error": {"code": "content_filter", "message": "no"}})
    assert (call.status, call.error_type, call.usage_source) == ("error", "content_filter", "missing")


@pytest.mark.parametrize("answer", [None, 7, object(), iter([1]), {"x": 1}, "plain text", b"\x00"])
def test_what_is_not_understood_is_missing_and_counted(events: MemoryWriter, answer: object) -> None:
    call = recorded(events, answer, model="gpt-4o")
    assert (call.usage_source, call.input_tokens, call.cost_usd, call.status) == ("missing", None, None, "ok")
    assert call.losses == {"llm_call_unread_answer": 1}


def test_usage_that_contradicts_itself_is_kept_as_it_was_said(events: MemoryWriter) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    call = recorded(events, {"choices": [], "model": "gpt-4o", "usage": usage, "extra": object()})
    assert (call.cost_status, call.cost_usd, json.loads(call.raw_usage)) == ("inconsistent", None, usage)


def test_an_answer_that_raises_when_it_is_asked_is_counted(events: MemoryWriter) -> None:
    class Broken:
        @property
        def model_dump(self) -> Any:
            raise RuntimeError

    call = recorded(events, Broken())
    assert (call.status, call.usage_source) == ("ok", "missing")
    assert call.losses == {"internal:record:RuntimeError": 1}


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_a_block_that_is_left_early_keeps_what_was_recorded(events: MemoryWriter, error: type[BaseException]) -> None:
    async def run() -> None:
        async with llm_call(provider="openai", model="gpt-4o", stream=True) as call:
            call.record(chunks())
            raise error

    with pytest.raises(error):
        asyncio.run(run())
    (call,) = calls_of(events)
    expected = ("error", "priced") if error is ValueError else ("partial", "partial")
    assert (call.status, call.cost_status, call.error_type) == (*expected, error.__name__)
    assert (call.output_tokens, call.cost_usd) == (50, COST)


def ask(model: str = "gpt-4o-mini", headers: dict[str, str] | None = None) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=CHAT, headers=headers))
    with httpx2.Client(transport=transport) as http:
        http.post("http://llm.test/v1/chat/completions", json={"model": model, "messages": []})


def test_a_fallback_is_said_by_the_caller(events: MemoryWriter) -> None:
    ask()
    with fallback_from("gpt-4o"):
        ask()
        with fallback_from("gpt-4o-mini"), llm_call(provider="anthropic", model="claude-haiku-4-5"):
            pass
        ask()
    ask()
    assert [call.fallback_from for call in calls_of(events)] == ["", "gpt-4o", "gpt-4o-mini", "gpt-4o", ""]


def test_a_fallback_reaches_tasks_and_is_left_in_any_context(events: MemoryWriter) -> None:
    async def run() -> None:
        async with fallback_from("gpt-4o"):
            await asyncio.gather(asyncio.to_thread(ask), asyncio.to_thread(ask))
        block = fallback_from("x")
        await asyncio.get_running_loop().run_in_executor(None, block.__enter__)
        block.__exit__(None, None, None)
        ask()

    asyncio.run(run())
    assert [call.fallback_from for call in calls_of(events)] == ["gpt-4o", "gpt-4o", ""]


@pytest.mark.parametrize(("said", "expected"), [("0", ""), ("1", "gpt-4o"), ("2", "gpt-4o")])
def test_a_litellm_proxy_says_that_it_fell_back(events: MemoryWriter, said: str, expected: str) -> None:
    ask("gpt-4o", {"x-litellm-attempted-fallbacks": said})
    assert calls_of(events)[0].fallback_from == expected


def test_a_cache_hit_costs_nothing_and_saves_what_the_call_would_have_cost(events: MemoryWriter) -> None:
    record_cache_hit(provider="openai", model="gpt-4o", answer=ChatCompletion.model_validate(CHAT))
    record_cache_hit(provider="openai", model="gpt-4o", input_tokens=1000, output_tokens=50, cache_read_tokens=600)
    for call in calls_of(events):
        assert (call.cache_hit, call.cost_usd, call.cost_status, call.cache_savings_usd) == (True, ZERO, "priced", COST)
        assert (call.input_cost_usd, call.output_cost_usd, call.fees_usd) == (ZERO, ZERO, ZERO)
        assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (0, 0, None)
        assert (call.status, call.usage_source, call.output_tokens_per_s) == ("ok", "reported", None)


def test_a_cache_hit_without_a_price_saves_nobody_knows_what(events: MemoryWriter) -> None:
    record_cache_hit(provider="openai", model="our-own", input_tokens=1000, output_tokens=50)
    record_cache_hit(provider="openai", model="gpt-4o")
    for call in calls_of(events):
        assert (call.cost_usd, call.cost_status, call.cache_savings_usd) == (ZERO, "priced", None)


def test_a_cache_hit_has_the_latency_of_its_block_and_no_inferences_of_its_own(events: MemoryWriter) -> None:
    with llm_call(provider="anthropic", model="claude-sonnet-4-5", stream=True, cache_hit=True) as call:
        call.record(ADVISED)
        asyncio.run(asyncio.sleep(0.02))
    (event,) = calls_of(events)
    assert (event.latency_ms or 0.0) >= 20
    assert (event.cache_savings_usd, event.output_tokens_per_s) == (Decimal("0.000657"), None)


def test_blocks_left_in_any_order_do_not_silence_taps_for_ever(events: MemoryWriter) -> None:
    first, second = (llm_call(provider="openai", model=model) for model in ("a", "b"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    ask("silent")
    second.__exit__(None, None, None)
    ask("seen")
    assert [call.request_model for call in calls_of(events)] == ["a", "b", "seen"]


def test_a_request_sums_what_was_consumed(events: MemoryWriter) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask("gpt-4o")
        record_cache_hit(provider="openai", model="gpt-4o", answer=CHAT)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x"})

    async def nothing(*_: Any) -> Any:
        return None

    scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    asyncio.run(instrument(app, writer=events, mode="lean", providers={"llm.test": "openai"})(scope, nothing, nothing))
    request = decode(events.lines[-1])
    assert isinstance(request, Request)
    assert (request.llm_calls, request.input_tokens, request.output_tokens, request.cost_usd) == (2, 1000, 50, COST)
