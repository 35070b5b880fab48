"""Spans of other instrumentations, built by hand in each convention, become calls; each call once."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode

from tollmeter.instrumentation import active, fallback_from, llm_call, spend_limit
from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.context import RequestContext, enter, leave
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel import open_spans, seen_calls
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.otel.sampling import record_unsampled
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap import install_taps
from tollmeter.instrumentation.tracing_otel import OtelTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import utc_now
from tollmeter.model.settings import Settings

OPENAI = "opentelemetry.instrumentation.genai.openai"
BASE: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
}
TOKENS: dict[str, Any] = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
ANSWER = {"model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE}


class Scene:
    """A provider with our processor, and the calls that were written."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.foreign = ForeignCalls()
        self.provider.add_span_processor(self.foreign)
        self.writer = MemoryWriter()
        settings = Settings(service="svc", providers={"llm.test": "openai"})
        tracing = OtelTracing(self.provider, self.foreign, settings)
        self.recorder = Recorder(settings, self.writer, tracing, Attributor(settings))

    def tracer(self, scope: str, version: str = "") -> trace.Tracer:
        return self.provider.get_tracer(scope, version)

    def span(self, scope: str, attributes: dict[str, Any], version: str = "", name: str = "chat gpt-4o") -> None:
        """One span, started and ended."""
        self.tracer(scope, version).start_span(name, kind=SpanKind.CLIENT, attributes=attributes).end()

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.writer.lines]

    @property
    def call(self) -> dict[str, Any]:
        (found,) = self.calls
        return found

    def tapped_call(self) -> None:
        """A model call that the tap on httpx2 sees."""
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))
        with httpx2.Client(transport=transport) as client:
            client.post("http://llm.test/v1/chat/completions", json={"model": "gpt-4o"})


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    found = Scene()
    install_taps()
    monkeypatch.setattr(active, "_default", [found.recorder])
    losses.take()
    yield found
    assert losses.take() == {}


def test_a_span_counts_against_the_limits_around_it_and_tells_a_fallback(scene: Scene) -> None:
    with spend_limit(usd=1) as limit, fallback_from("gpt-5"):
        scene.span(OPENAI, BASE | TOKENS)
    # 1000 x 2.50 + 50 x 10.00 per million
    assert (limit.spent_usd, limit.calls, limit.left_usd) == (Decimal("0.003"), 1, Decimal("0.997"))
    assert scene.call["fallback_from"] == "gpt-5"


def counts(call: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in call.items() if name.endswith("_tokens")}


def test_a_span_of_the_current_convention_is_a_call_with_the_ids_and_times_of_the_span(scene: Scene) -> None:
    extra = {
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 256,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "openai.response.service_tier": "default",
    }
    start = 1_790_000_000_123_456_789
    tracer = scene.tracer(OPENAI, "1.3b0")
    with tracer.start_as_current_span("mine") as parent:
        span = tracer.start_span(
            "chat gpt-4o", attributes=BASE | TOKENS | extra, kind=SpanKind.CLIENT, start_time=start
        )
        span.end(start + 2_000_000_000)
    call = scene.call
    ids = span.get_span_context()
    assert (call["trace_id"], call["span_id"]) == (f"{ids.trace_id:032x}", f"{ids.span_id:016x}")
    assert call["parent_span_id"] == f"{parent.get_span_context().span_id:016x}"
    assert call["timestamp"] == "2026-09-21T14:13:20.123456Z"
    assert (call["latency_ms"], call["ttft_ms"]) == (2000.0, 250.0)
    assert call["output_tokens_per_s"] == pytest.approx(50 / 1.75)
    assert counts(call) == {
        "input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 600, "reasoning_tokens": 20, "max_tokens": 256,
    }  # fmt: skip
    assert (call["provider"], call["operation"], call["request_model"]) == ("openai", "chat", "gpt-4o")
    assert (call["response_model"], call["finish_reason"], call["stream"]) == ("gpt-4o-2024-08-06", "stop", True)
    assert (call["usage_source"], call["cost_status"], call["service_tier"]) == ("reported", "priced", "default")
    assert call["cost_usd"] == "0.002250000000"  # 400 at 2.5, 600 at 1.25, 50 at 10 USD per million


ANTHROPIC: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5"}
BEDROCK: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
INCLUSIVE = {"input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 500, "cache_write_tokens": 100}
EXCLUSIVE: dict[str, Any] = {"gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 50}
DOTTED: dict[str, Any] = {"gen_ai.usage.cache_read.input_tokens": 500, "gen_ai.usage.cache_creation.input_tokens": 100}
UNDERSCORED: dict[str, Any] = {
    "gen_ai.usage.cache_read_input_tokens": 500,
    "gen_ai.usage.cache_creation_input_tokens": 100,
}
LITELLM_RAW = (
    "{'completion_tokens': 50, 'prompt_tokens': 1000, 'prompt_tokens_details': {'audio_tokens': None, 'cached_tokens':"
    " 500}, 'cache_creation_input_tokens': 100, 'cache_read_input_tokens': 500}"
)
LOGFIRE_RAW = (
    '{"input_tokens": 400, "output_tokens": 50, "cache_read_input_tokens": 500, "cache_creation_input_tokens": 100,'
    ' "cache_creation": {"ephemeral_1h_input_tokens": 40}}'
)


@pytest.mark.parametrize(
    ("scope", "version", "attributes", "expected"),
    [
        pytest.param(
            "opentelemetry.instrumentation.genai.anthropic", "1.3b0",
            ANTHROPIC | TOKENS
            | {"gen_ai.usage.cache_read.input_tokens": 500, "gen_ai.usage.cache_write.input_tokens": 100},
            INCLUSIVE, id="official, names of the genai repository",
        ),
        pytest.param(
            "opentelemetry.instrumentation.botocore.bedrock-runtime", "0.66b2", BEDROCK | EXCLUSIVE | DOTTED,
            INCLUSIVE, id="botocore leaves the cache out",
        ),
        pytest.param(
            "opentelemetry.instrumentation.genai.bedrock", "1.3b0", BEDROCK | EXCLUSIVE | DOTTED,
            INCLUSIVE, id="genai-bedrock leaves the cache out",
        ),
        pytest.param(
            "opentelemetry.instrumentation.bedrock", "0.62.4", BEDROCK | EXCLUSIVE | DOTTED,
            INCLUSIVE, id="OpenLLMetry's Bedrock leaves the cache out",
        ),
        pytest.param(
            "opentelemetry.instrumentation.anthropic", "0.62.4", ANTHROPIC | TOKENS | DOTTED,
            INCLUSIVE, id="OpenLLMetry's Anthropic",
        ),
        pytest.param(
            "opentelemetry.instrumentation.anthropic", "0.40.14",
            {
                "llm.request.type": "completion", "gen_ai.system": "Anthropic",
                "gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.usage.prompt_tokens": 1000,
                "gen_ai.usage.completion_tokens": 50, "llm.usage.total_tokens": 1050,
            } | UNDERSCORED,
            INCLUSIVE, id="OpenLLMetry's names of old",
        ),
        pytest.param(
            "litellm", "", ANTHROPIC | TOKENS | {"metadata.usage_object": LITELLM_RAW},
            INCLUSIVE, id="LiteLLM tells the cache in a text only",
        ),
        pytest.param(
            "logfire.anthropic", "5.4.0", ANTHROPIC | TOKENS | DOTTED | {"gen_ai.usage.raw": LOGFIRE_RAW},
            INCLUSIVE | {"cache_write_1h_tokens": 40}, id="Logfire, with the provider's own object",
        ),
        pytest.param(
            "pydantic-ai", "2.68.0",
            ANTHROPIC | TOKENS | {
                "gen_ai.usage.details.cache_read_tokens": 500, "gen_ai.usage.details.cache_write_tokens": 100,
            },
            INCLUSIVE, id="Pydantic AI's details",
        ),
        pytest.param(
            "someone.else", "", ANTHROPIC | EXCLUSIVE | DOTTED,
            INCLUSIVE, id="unknown, but the parts exceed the whole",
        ),
    ],
)  # fmt: skip
def test_each_emitters_counts_are_made_inclusive(
    scene: Scene, scope: str, version: str, attributes: dict[str, Any], expected: dict[str, int]
) -> None:
    scene.span(scope, attributes, version)
    assert counts(scene.call) == expected


@pytest.mark.parametrize(
    ("scope", "version", "attributes", "method"),
    [
        ("opentelemetry.instrumentation.anthropic", "0.62.4", {"gen_ai.is_streaming": True}, "span_sums_stream_output"),
        ("opentelemetry.instrumentation.openai_v2", "2.4b0", {}, "span_omits_cache"),
        (
            "opentelemetry.instrumentation.botocore.bedrock-runtime", "0.66b2",
            BEDROCK | {"rpc.method": "InvokeModel"}, "span_omits_cache",
        ),
        (
            "opentelemetry.instrumentation.botocore.bedrock-runtime", "0.66b2",
            BEDROCK | {"rpc.method": "InvokeModel", "gen_ai.request.model": "cohere.command-r-v1:0"},
            "span_guess_from_text",
        ),
    ],
)  # fmt: skip
def test_counts_that_are_not_the_providers_are_estimated(
    scene: Scene, scope: str, version: str, attributes: dict[str, Any], method: str
) -> None:
    scene.span(scope, BASE | TOKENS | attributes, version)
    assert (scene.call["usage_source"], scene.call["usage_method"]) == ("estimated", method)


def test_an_old_openllmetry_told_no_sum_of_streams(scene: Scene) -> None:
    scope = "opentelemetry.instrumentation.anthropic"
    scene.span(scope, ANTHROPIC | TOKENS | {"gen_ai.is_streaming": True}, "0.31.4")
    assert scene.call["usage_source"] == "reported"


def test_without_counts_usage_is_missing_and_nothing_is_priced(scene: Scene) -> None:
    scene.span(OPENAI, BASE)
    assert "usage_source" not in scene.call  # missing, the default
    assert "cost_usd" not in scene.call


def test_counts_that_contradict_each_other_are_kept_as_said(scene: Scene) -> None:
    scene.span(OPENAI, BASE | TOKENS | {"gen_ai.usage.reasoning.output_tokens": 70})
    assert scene.call["cost_status"] == "inconsistent"
    assert json.loads(scene.call["raw_usage"])["gen_ai.usage.reasoning.output_tokens"] == 70


@pytest.mark.parametrize(
    ("said", "provider", "priced"),
    [
        ({"gen_ai.system": "az.ai.openai"}, "azure.ai.openai", "gpt-4o"),
        ({"gen_ai.system": "AWS"}, "aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ({"gen_ai.system": "bedrock"}, "aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ({"gen_ai.provider.name": "gemini"}, "gcp.gemini", "gemini-2.5-flash"),
        ({"gen_ai.system": "vertex_ai"}, "gcp.vertex_ai", "gemini-2.5-flash"),
        ({"gen_ai.system": "google-gla"}, "gcp.gemini", "gemini-2.5-flash"),
        ({"gen_ai.system": "Anthropic"}, "anthropic", "claude-sonnet-4-5"),
        ({"gen_ai.system": "mistralai"}, "mistral_ai", "mistral-large-latest"),
        ({"gen_ai.system": "", "litellm.provider.model": "openai/gpt-4o"}, "openai", "gpt-4o"),
    ],
)
def test_providers_have_one_spelling_and_are_priced(
    scene: Scene, said: dict[str, Any], provider: str, priced: str
) -> None:
    scene.span("litellm", TOKENS | said | {"gen_ai.operation.name": "chat", "gen_ai.request.model": priced})
    assert (scene.call["provider"], scene.call["cost_status"]) == (provider, "priced")


def test_a_model_without_its_vendor_gets_it_back(scene: Scene) -> None:
    said = TOKENS | {"gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "nova-pro-v1:0"}
    scene.span("opentelemetry.instrumentation.bedrock", said | {"gen_ai.operation.name": "chat"}, "0.62.4")
    assert (scene.call["request_model"], scene.call["cost_status"]) == ("amazon.nova-pro-v1:0", "priced")


@pytest.mark.parametrize(
    ("attributes", "status", "expected"),
    [
        ({"error.type": "openai.APIConnectionError"}, StatusCode.ERROR, ("error", "APIConnectionError")),
        ({}, StatusCode.ERROR, ("error", "error")),
        ({"error.type": "CancelledError"}, StatusCode.ERROR, ("partial", "CancelledError")),
        ({"error.type": "_OTHER", "gen_ai.request.stream": True}, StatusCode.ERROR, ("partial", "_OTHER")),
        ({"error.type": "_OTHER"}, StatusCode.ERROR, ("error", "_OTHER")),
    ],
)
def test_how_a_call_ended(
    scene: Scene, attributes: dict[str, Any], status: StatusCode, expected: tuple[str, str]
) -> None:
    span = scene.tracer(OPENAI).start_span("chat", attributes=BASE | attributes, kind=SpanKind.CLIENT)
    span.set_status(Status(status))
    span.end()
    assert (scene.call["status"], scene.call["error_type"]) == expected


def test_the_exception_event_names_the_error(scene: Scene) -> None:
    with pytest.raises(TimeoutError), scene.tracer(OPENAI).start_as_current_span("chat", attributes=BASE):
        raise TimeoutError
    assert (scene.call["status"], scene.call["error_type"]) == ("error", "TimeoutError")


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
