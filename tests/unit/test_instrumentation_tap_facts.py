"""What the heads of an exchange tell of a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollmeter.instrumentation.tap.endpoints import Endpoint
from tollmeter.instrumentation.tap.facts import credential_ref, facts_of_request, take_response

SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIAX/20261124/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=1"


def asked(
    headers: dict[bytes, bytes] | None = None, body: Any = None, *, query: bytes = b"", **endpoint: Any
) -> dict[str, Any]:
    content = None if body is None else json.dumps(body).encode()
    return facts_of_request(Endpoint("openai", "chat", **endpoint), headers or {}, query, content)


def answered(provider: str, headers: dict[bytes, bytes]) -> dict[str, Any]:
    facts: dict[str, Any] = {"provider": provider}
    take_response(facts, headers)
    return facts


@pytest.mark.parametrize(
    ("headers", "query", "secret"),
    [
        ({b"authorization": b"Bearer sk-1"}, b"", b"sk-1"),
        ({b"api-key": b"azure"}, b"", b"azure"),
        ({b"x-api-key": b"anthropic"}, b"", b"anthropic"),
        ({b"x-goog-api-key": b"gemini"}, b"", b"gemini"),
        ({}, b"alt=sse&key=AIza", b"AIza"),
        (
            {b"authorization": SIGNED},
            b"",
            b"AKIAX",
        ),
    ],
)
def test_one_credential_is_one_reference(headers: dict[bytes, bytes], query: bytes, secret: bytes) -> None:
    assert asked(headers, query=query)["credential_ref"] == credential_ref(secret)


def test_without_credential_there_is_no_reference() -> None:
    assert "credential_ref" not in asked(query=b"monkey=1")


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        ({}, None),
        ({b"x-stainless-retry-count": b"0"}, 1),
        ({b"x-stainless-retry-count": b"2"}, 3),
        ({b"x-stainless-retry-count": b"x"}, None),
        ({b"amz-sdk-request": b"attempt=2; max=4"}, 2),
        ({b"amz-sdk-request": b"attempt=9999999999999"}, None),
    ],
)
def test_the_attempt_is_what_the_sdk_says(headers: dict[bytes, bytes], attempt: int | None) -> None:
    assert asked(headers).get("attempt") == attempt


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 7},
        {"max_completion_tokens": 7, "max_tokens": 9},
        {"max_output_tokens": 7},
        {"inferenceConfig": {"maxTokens": 7}},
        {"generationConfig": {"maxOutputTokens": 7, "responseSchema": {"type": "OBJECT"}}},
        {"textGenerationConfig": {"maxTokenCount": 7}},
        {"max_gen_len": 7},
    ],
)
def test_the_limit_asked_for(body: dict[str, Any]) -> None:
    assert asked(body=body)["max_tokens"] == 7


@pytest.mark.parametrize("value", [-1, 1.5, "7", True, 2**63, None])
def test_a_limit_that_is_none(value: Any) -> None:
    assert "max_tokens" not in asked(body={"max_tokens": value, "model": "m"})


def test_what_the_url_told_stands_beside_what_the_body_says() -> None:
    facts = asked(body={"model": "my-gpt", "stream": True}, resource_id="my-gpt", region="eu")
    assert (facts["resource_id"], facts["request_model"], facts["inference_region"]) == ("my-gpt", "my-gpt", "eu")
    assert facts["stream"] is True


@pytest.mark.parametrize(
    ("provider", "pattern", "requests", "tokens"),
    [
        ("openai", "x-ratelimit-{what}-{unit}", "requests", "tokens"),
        ("mistral_ai", "x-ratelimit-{what}-{unit}", "req-minute", "tokens-minute"),
        ("cerebras", "x-ratelimit-{what}-{unit}", "requests-day", "tokens-minute"),
        ("anthropic", "anthropic-ratelimit-{unit}-{what}", "requests", "tokens"),
    ],
)
def test_rate_limits(provider: str, pattern: str, requests: str, tokens: str) -> None:
    told = [pattern.format(what=what, unit=unit) for unit in (requests, tokens) for what in ("limit", "remaining")]
    facts = answered(provider, {name.encode(): str(number).encode() for number, name in enumerate(told, 10)})
    assert (facts["ratelimit_limit_requests"], facts["ratelimit_remaining_requests"]) == (10, 11)
    assert (facts["ratelimit_limit_tokens"], facts["ratelimit_remaining_tokens"]) == (12, 13)


def test_a_rate_limit_told_by_halves_is_their_sum_and_a_total_wins() -> None:
    halves = {b"anthropic-ratelimit-input-tokens-limit": b"400", b"anthropic-ratelimit-output-tokens-limit": b"80"}
    assert answered("anthropic", halves)["ratelimit_limit_tokens"] == 480
    total = halves | {b"anthropic-ratelimit-tokens-limit": b"450"}
    assert answered("anthropic", total)["ratelimit_limit_tokens"] == 450


@pytest.mark.parametrize("value", [b"-1", b"1.5", b"", b"many", b"9" * 40])
def test_a_rate_limit_that_is_no_count(value: bytes) -> None:
    assert "ratelimit_limit_tokens" not in answered("openai", {b"x-ratelimit-limit-tokens": value})


@pytest.mark.parametrize(
    "header",
    [
        b"x-request-id",
        b"apim-request-id",
        b"request-id",
        b"x-amzn-requestid",
        b"mistral-correlation-id",
        b"x-debug-trace-id",
    ],
)
def test_the_id_of_the_provider(header: bytes) -> None:
    assert answered("openai", {header: b"r" * 300})["provider_request_id"] == "r" * 256


def test_what_azure_tells_of_itself() -> None:
    facts = answered("azure.ai.openai", {b"x-ms-region": b"East US 2", b"x-ms-deployment-name": b"gpt-5-nano"})
    assert (facts["inference_region"], facts["resource_id"]) == ("eastus2", "gpt-5-nano")
