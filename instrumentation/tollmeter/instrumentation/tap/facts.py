"""What the heads of an exchange say of a call: ids, rate limits, credential, region, attempt, limits asked for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.model import names
from tollmeter.model.events import MAX_COUNT

if TYPE_CHECKING:
    from tollmeter.instrumentation.tap.endpoints import Endpoint

Headers = Mapping[bytes, bytes]
"""Lower-case names to values; clients' own header types cost microseconds a look-up."""

_MAX_ID: Final = 256
_MAX_DIGITS: Final = 18
_LIMITS: Final = {
    f"{prefix}{what}-{unit}".encode(): f"ratelimit_{what}_{field}"
    for what in ("limit", "remaining")
    for prefix, unit, field in (
        ("x-ratelimit-", "requests", "requests"),
        ("x-ratelimit-", "tokens", "tokens"),
        ("x-ratelimit-", "req-minute", "requests"),  # Mistral
        ("x-ratelimit-", "tokens-minute", "tokens"),  # Mistral, Cerebras
        ("x-ratelimit-", "requests-day", "requests"),  # Cerebras
    )
} | {
    f"anthropic-ratelimit-{unit}-{what}".encode(): f"ratelimit_{what}_{unit}"
    for what in ("limit", "remaining")
    for unit in ("requests", "tokens")
}
_HALVES: Final = {
    f"ratelimit_{what}_tokens": tuple(
        f"anthropic-ratelimit-{half}-tokens-{what}".encode() for half in ("input", "output")
    )
    for what in ("limit", "remaining")
}
_IDS: Final = (
    b"x-request-id",
    b"apim-request-id",
    b"request-id",
    b"x-amzn-requestid",
    b"mistral-correlation-id",
    b"x-debug-trace-id",  # Cohere
)
_TOLD: Final = _LIMITS | {b"x-ms-deployment-name": "resource_id", b"x-gemini-service-tier": "service_tier"}
_is_told: Final = _TOLD.__contains__
_FALLBACKS: Final = b"x-litellm-attempted-fallbacks"  # of a LiteLLM proxy, whose answer is of another model then
_REGION: Final = b"x-ms-region"
_SECRETS: Final = (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key")
_QUERY_KEY: Final = re.compile(rb"(?:^|[?&])key=([^&]+)")
_SIGV4: Final = b"AWS4-HMAC-SHA256"
_ACCESS_KEY: Final = re.compile(rb"^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/")
_AWS_ATTEMPT: Final = re.compile(rb"attempt=(\d{1,9})\b")


class _Limits(msgspec.Struct):
    maxTokens: Any = None  # noqa: N815  Bedrock's
    maxOutputTokens: Any = None  # noqa: N815  Gemini's
    maxTokenCount: Any = None  # noqa: N815  Titan's


class RequestBody(msgspec.Struct):
    """What a request says; every field may be missing or of a foreign type."""

    model: Any = None
    stream: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    max_gen_len: Any = None
    inferenceConfig: _Limits | None = None  # noqa: N815
    generationConfig: _Limits | None = None  # noqa: N815
    textGenerationConfig: _Limits | None = None  # noqa: N815


_NOTHING: Final = _Limits()
_NOT_UNDERSTOOD: Final = RequestBody()
_request: Final = msgspec.json.Decoder(RequestBody)


def facts_of_request(endpoint: Endpoint, headers: Headers, query: bytes, body: bytes | None) -> dict[str, Any]:
    """The fields of an `llm_call` that its request tells."""
    facts: dict[str, Any] = {"provider": endpoint.provider, "operation": endpoint.operation}
    if endpoint.model:
        facts["request_model"] = endpoint.model
    if endpoint.stream:
        facts["stream"] = True
    if endpoint.resource_id:
        facts["resource_id"] = endpoint.resource_id
    if endpoint.region:
        facts["inference_region"] = endpoint.region
    if body:
        _take_body(facts, body)
    if secret := headers.get(b"authorization") or _first(headers, _SECRETS) or _key_in(query):
        facts["credential_ref"] = credential_ref(secret)
    if retries := headers.get(b"x-stainless-retry-count"):
        if retries.isdigit() and len(retries) <= _MAX_DIGITS:
            facts["attempt"] = int(retries) + 1
    elif (request := headers.get(b"amz-sdk-request")) and (told := _AWS_ATTEMPT.search(request)):
        facts["attempt"] = int(told[1])
    return facts


def take_response(facts: dict[str, Any], headers: Headers) -> None:
    """Add what the head of the answer tells."""
    for name in filter(_is_told, headers):
        value, field = headers[name], _LIMITS.get(name)
        if field is None:
            facts[_TOLD[name]] = value[:_MAX_ID].decode("latin-1")
        elif field not in facts and value.isdigit() and len(value) <= _MAX_DIGITS:
            facts[field] = int(value)
    if facts["provider"] == names.PROVIDER_ANTHROPIC:
        _take_halves(facts, headers)
    if request_id := headers.get(b"x-request-id") or _first(headers, _IDS):
        facts["provider_request_id"] = request_id[:_MAX_ID].decode("latin-1")
    if _FALLBACKS in headers and headers[_FALLBACKS] != b"0":
        facts["fallback_from"] = facts.get("fallback_from") or facts.get("request_model", "")
    if region := headers.get(_REGION):
        # "East US 2" is `eastus2` in every API and on every bill.
        facts["inference_region"] = region[:_MAX_ID].decode("latin-1").replace(" ", "").lower()


def credential_ref(secret: bytes) -> str:
    """A keyed hash that tells credentials apart and cannot be turned back.

    >>> credential_ref(b"Bearer sk-1") == credential_ref(b"sk-1"), len(credential_ref(b"sk-1"))
    (True, 16)
    """
    if secret.startswith(_SIGV4) and (signed := _ACCESS_KEY.match(secret)):
        return _hashed(signed[1])  # the signature differs each time, the key id in it does not
    return _hashed(secret)


@lru_cache(maxsize=128)
def _hashed(secret: bytes) -> str:
    plain = secret.removeprefix(b"Bearer ")
    return hashlib.blake2b(plain, key=b"tollmeter.credential_ref", digest_size=8).hexdigest()


def _first(headers: Headers, wanted: tuple[bytes, ...]) -> bytes:
    for name in wanted:
        if value := headers.get(name):
            return value
    return b""


def _take_body(facts: dict[str, Any], body: bytes) -> None:
    try:
        request = _request.decode(body)
    except msgspec.MsgspecError:
        request = _NOT_UNDERSTOOD
    if isinstance(request.model, str):
        facts["request_model"] = request.model[:_MAX_ID]
    if request.stream is True:
        facts["stream"] = True
    if (
        request.max_tokens is not None
        or request.max_completion_tokens is not None
        or request.max_output_tokens is not None
        or request.max_gen_len is not None
        or request.inferenceConfig is not None
        or request.generationConfig is not None
        or request.textGenerationConfig is not None
    ) and (limit := _limit_of(request)) is not None:
        facts["max_tokens"] = limit


def _limit_of(request: RequestBody) -> int | None:
    config = request.inferenceConfig or request.generationConfig or request.textGenerationConfig or _NOTHING
    for limit in (
        request.max_completion_tokens,
        request.max_output_tokens,
        request.max_tokens,
        config.maxTokens,
        config.maxOutputTokens,
        config.maxTokenCount,
        request.max_gen_len,
    ):
        if type(limit) is int and 0 <= limit <= MAX_COUNT:
            return limit
    return None


def _take_halves(facts: dict[str, Any], headers: Headers) -> None:
    """Anthropic tells limits of input and of output beside a total, or alone."""
    for field, halves in _HALVES.items():
        said = [int(value) for name in halves if _is_count(value := headers.get(name, b""))]
        if said and field not in facts:
            facts[field] = sum(said)


def _is_count(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MAX_DIGITS


def _key_in(query: bytes) -> bytes:
    found = _QUERY_KEY.search(query) if query else None
    return found[1] if found else b""
