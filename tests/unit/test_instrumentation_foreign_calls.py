"""Spans of other instrumentations, built by hand in each convention, become calls with inclusive counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from foreign_scene import BASE, OPENAI, TOKENS, Scene, counts, open_scene
from opentelemetry.trace import SpanKind, Status, StatusCode

from tollmeter.instrumentation import fallback_from, spend_limit


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(monkeypatch) as found:
        yield found


def test_a_span_counts_against_the_limits_around_it_and_tells_a_fallback(scene: Scene) -> None:
    with spend_limit(usd=1) as limit, fallback_from("gpt-5"):
        scene.span(OPENAI, BASE | TOKENS)
    # 1000 x 2.50 + 50 x 10.00 per million
    assert (limit.spent_usd, limit.calls, limit.left_usd) == (Decimal("0.003"), 1, Decimal("0.997"))
    assert scene.call["fallback_from"] == "gpt-5"


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
