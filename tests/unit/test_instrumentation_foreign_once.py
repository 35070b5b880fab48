"""Spans of other instrumentations beside taps, wrappers, requests and each other: each call once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from foreign_scene import BASE, OPENAI, TOKENS, Scene, counts, open_scene
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from tollmeter.instrumentation import llm_call
from tollmeter.instrumentation.context import RequestContext, enter, leave
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel import open_spans, seen_calls
from tollmeter.instrumentation.otel.sampling import record_unsampled
from tollmeter.model.events import utc_now


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(monkeypatch) as found:
        yield found


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.operation.name": "execute_tool"},
        {"gen_ai.operation.name": "invoke_workflow"},
        {"traceloop.span.kind": "workflow"},
        {"llm.request.type": "rerank", "gen_ai.operation.name": ""},
        {"litellm.call_id": "x"},
    ],
)
def test_wrappers_are_no_calls(scene: Scene, attributes: dict[str, Any]) -> None:
    scene.span("my.agents", BASE | TOKENS | attributes)
    assert scene.calls == []
    assert losses.take() == ({"litellm_call_without_span": 1} if "litellm.call_id" in attributes else {})


def test_a_server_span_is_no_call(scene: Scene) -> None:
    scene.tracer("x").start_span("POST /", kind=SpanKind.SERVER, attributes=BASE | TOKENS).end()
    assert scene.calls == []


def test_only_the_innermost_inference_counts(scene: Scene) -> None:
    tracer = scene.tracer("framework")
    with tracer.start_as_current_span("chain", attributes=BASE | TOKENS):
        for _ in range(2):
            with tracer.start_as_current_span("chat", attributes=BASE | TOKENS):
                scene.tracer("http").start_span("POST").end()
    assert len(scene.calls) == 2
    assert {call["parent_span_id"] for call in scene.calls} == {scene.calls[0]["parent_span_id"]}


def test_attributes_may_come_at_the_end(scene: Scene) -> None:
    span = scene.tracer("mine").start_span("ask")
    span.set_attributes(BASE | TOKENS)
    span.end()
    assert scene.call["input_tokens"] == 1000


def test_a_span_around_a_tapped_call_is_not_counted_again(scene: Scene) -> None:
    tracer = scene.tracer(OPENAI)
    chat, post = tracer.start_as_current_span("chat", attributes=BASE | TOKENS), scene.tracer("http")
    with tracer.start_as_current_span("agent"), chat, post.start_as_current_span("POST"):
        scene.tapped_call()
    assert scene.call["cost_usd"] == "0.002250000000"
    assert scene.call["cache_read_tokens"] == 600


def test_one_span_around_two_attempts_is_two_rows_not_three(scene: Scene) -> None:
    with scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE | TOKENS):
        scene.tapped_call()
        scene.tapped_call()
    assert len(scene.calls) == 2


async def _in_a_task(scene: Scene) -> None:
    async def ask() -> None:
        await asyncio.to_thread(scene.tapped_call)

    with scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE | TOKENS):
        await asyncio.create_task(ask())


def test_a_tapped_call_in_a_task_and_a_thread_covers_its_span(scene: Scene) -> None:
    asyncio.run(_in_a_task(scene))
    assert len(scene.calls) == 1


def test_a_span_carried_to_another_thread_by_hand_is_covered(scene: Scene) -> None:
    with scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE | TOKENS):
        carried = otel_context.get_current()

        def ask() -> None:
            otel_context.attach(carried)
            scene.tapped_call()

        thread = threading.Thread(target=lambda: contextvars.Context().run(ask))
        thread.start()
        thread.join()
    assert len(scene.calls) == 1


def test_fifty_untapped_and_fifty_tapped_calls_at_once_are_a_hundred_rows(scene: Scene) -> None:
    def ask(number: int) -> None:
        with scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE | TOKENS):
            if number % 2:
                scene.tapped_call()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(100)))
    assert len(scene.calls) == 100
    assert sum("cache_read_tokens" in call for call in scene.calls) == 50


def test_llm_call_outside_and_inside_counts_once(scene: Scene) -> None:
    chat = scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE | TOKENS)
    with chat, llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=7, output_tokens=1)
    with llm_call(provider="openai", model="gpt-4o") as call:
        scene.span(OPENAI, BASE | TOKENS)
        call.record_usage(input_tokens=8, output_tokens=1)
    assert [call["input_tokens"] for call in scene.calls] == [7, 8]


def test_a_span_that_was_not_current_around_a_tapped_call_is_recognised(scene: Scene) -> None:
    span = scene.tracer("opentelemetry.instrumentation.anthropic", "0.62.4").start_span("anthropic.chat")
    scene.tapped_call()
    span.set_attributes(BASE | TOKENS | {"gen_ai.usage.output_tokens": 51})
    span.end()
    assert len(scene.calls) == 1
    # The same again without a tapped call is a call.
    scene.span("opentelemetry.instrumentation.anthropic", BASE | TOKENS, "0.62.4")
    assert len(scene.calls) == 2


def test_a_span_made_afterwards_in_another_thread_claims_each_tapped_call_once(scene: Scene) -> None:
    tracer = scene.tracer("litellm")

    def log() -> None:
        for _ in range(3):  # two were tapped, the third went by a way that no tap sees
            tracer.start_span("litellm_request", attributes=BASE | TOKENS, start_time=start).end()

    start = _now_ns()
    scene.tapped_call()
    scene.tapped_call()
    thread = threading.Thread(target=log)
    thread.start()
    thread.join()
    assert ["cache_read_tokens" in call for call in scene.calls] == [True, True, False]


def test_another_model_or_another_input_is_another_call(scene: Scene) -> None:
    start = _now_ns()
    scene.tapped_call()
    for other in ({"gen_ai.request.model": "o3", "gen_ai.response.model": "o3"}, {"gen_ai.usage.input_tokens": 900}):
        tracer = scene.tracer("litellm")
        tracer.start_span("litellm_request", attributes=BASE | TOKENS | other, start_time=start).end()
    assert len(scene.calls) == 3


def test_two_emitters_that_tell_of_one_answer_are_one_call(scene: Scene) -> None:
    outer = scene.tracer("opentelemetry.instrumentation.anthropic", "0.62.4").start_span("anthropic.chat")
    scene.span("com.anthropic.sdk.python", BASE | TOKENS | {"gen_ai.response.id": "msg_1"}, "2.13.0")
    outer.set_attributes(BASE | TOKENS | {"gen_ai.response.id": "msg_1"})
    outer.end()
    assert len(scene.calls) == 1


def test_logfires_stream_is_the_log_at_its_end(scene: Scene) -> None:
    tracer = scene.tracer("logfire.openai", "5.4.0")
    tracer.start_span("Chat Completion", kind=SpanKind.CLIENT, attributes=BASE).end()
    end = _now_ns()
    said = BASE | TOKENS | {"duration": 1.5, "gen_ai.response.finish_reasons": '["stop"]', "gen_ai.response.id": "c1"}
    tracer.start_span("streaming response", attributes=said, start_time=end).end(end)
    assert (scene.call["latency_ms"], scene.call["stream"], scene.call["finish_reason"]) == (1500.0, True, "stop")


def test_first_token_events_tell_the_time_to_first_token(scene: Scene) -> None:
    start = 1_790_000_000_000_000_000
    tracer = scene.tracer("opentelemetry.instrumentation.openai.v1", "0.62.4")
    span = tracer.start_span("openai.chat", kind=SpanKind.CLIENT, attributes=BASE | TOKENS, start_time=start)
    span.add_event("gen_ai.content.completion.chunk", timestamp=start + 300_000_000)
    span.add_event("gen_ai.content.completion.chunk", timestamp=start + 400_000_000)
    span.end(start + 500_000_000)
    assert (scene.call["ttft_ms"], scene.call["latency_ms"]) == (300.0, 500.0)


def _now_ns() -> int:
    return time.time_ns()


def _request(scene: Scene) -> RequestContext:
    context = RequestContext(scene.recorder, {"type": "http"}, utc_now())
    context.request_id, context.attribution = "r1", {"tenant_id": "acme"}
    return context


def test_a_span_belongs_to_the_request_that_it_started_in(scene: Scene) -> None:
    context = _request(scene)
    token = enter(context)
    span = scene.tracer(OPENAI).start_span("chat", kind=SpanKind.CLIENT, attributes=BASE | TOKENS)
    leave(token)
    span.end()
    assert (scene.call["request_id"], scene.call["tenant_id"]) == ("r1", "acme")
    assert (context.calls, context.input_tokens) == (1, 1000)
    assert context.last_call_id == scene.call["event_id"]


def test_a_span_started_outside_of_the_request_belongs_to_it_by_its_trace(scene: Scene) -> None:
    context = _request(scene)
    with scene.tracer("server").start_as_current_span("POST /chat", kind=SpanKind.SERVER) as server:
        scene.foreign.open.remember(server.get_span_context().trace_id, context)
    context.let_go_of_scope()
    parent = trace.set_span_in_context(server)
    scene.tracer("litellm").start_span("litellm_request", context=parent, attributes=BASE | TOKENS).end()
    assert (scene.call["request_id"], scene.call["tenant_id"]) == ("r1", "acme")


def test_a_calls_speed_status_and_context_survive_a_span_whose_start_was_not_seen(scene: Scene) -> None:
    span = scene.tracer(OPENAI).start_span("chat", kind=SpanKind.CLIENT, attributes=BASE | TOKENS)
    scene.foreign.open.take(span.get_span_context().span_id)
    span.end()
    assert scene.call["input_tokens"] == 1000


def test_spans_that_never_end_are_forgotten_and_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_spans, "MAX_OPEN", 10)
    held = [scene.tracer(OPENAI).start_span("chat") for _ in range(25)]
    assert len(scene.foreign.open) == 10
    assert losses.take() == {"span_never_ended": 15}
    assert len(held) == 25


def test_what_is_remembered_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_calls, "MAX_SEEN", 5)
    monkeypatch.setattr(open_spans, "MAX_TRACES", 5)
    for number in range(20):
        scene.span(OPENAI, BASE | TOKENS)
        scene.foreign.open.remember(number, _request(scene))
    assert len(scene.foreign.seen._seen[OPENAI]) == 5
    assert len(scene.foreign.open._by_trace) == 5
    assert len(scene.foreign.open) == 0


def test_emitters_that_are_remembered_are_bounded(scene: Scene) -> None:
    for number in range(seen_calls.MAX_SCOPES + 5):
        scene.span(f"mine.{number}", BASE | TOKENS)
    assert len(scene.foreign.seen._seen) == seen_calls.MAX_SCOPES


def test_a_fault_of_ours_is_counted_and_never_raised(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scene.foreign, "open", object())
    monkeypatch.setattr(scene.foreign, "_consider", broken)
    scene.span(OPENAI, BASE | TOKENS)
    assert scene.calls == []
    assert losses.take() == {"internal:on_start:AttributeError": 1, "internal:on_end:AttributeError": 1}


@pytest.mark.parametrize("value", ["12", 1.5, True, None, [1], -3])
def test_what_is_no_count_is_not_one(scene: Scene, value: object) -> None:
    span = scene.tracer(OPENAI).start_span("chat", kind=SpanKind.CLIENT, attributes=BASE)
    if value is not None:
        span.set_attribute("gen_ai.usage.input_tokens", value)  # type: ignore[arg-type]
    span.end()
    assert counts(scene.call) == {}


@pytest.mark.parametrize("sampler", [TraceIdRatioBased(0.0), ParentBased(ALWAYS_OFF)])
def test_unsampled_calls_are_counted_all_the_same(scene: Scene, sampler: Any) -> None:
    scene.provider.sampler = sampler
    early = scene.provider.get_tracer("early")
    record_unsampled(scene.provider)
    record_unsampled(scene.provider)  # a second app changes nothing
    for number in range(100):
        tracer = early if number % 2 else scene.tracer(OPENAI)
        with (
            tracer.start_as_current_span("root") as root,
            tracer.start_as_current_span("chat", attributes=BASE | TOKENS),
        ):
            assert not root.get_span_context().trace_flags.sampled
    assert len(scene.calls) == 100
    assert scene.provider.sampler.inner is sampler  # type: ignore[attr-defined]
