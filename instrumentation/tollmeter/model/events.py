"""The four kinds of event. One event is one line of JSON, tagged by `kind`.

Fields that hold their default are left out of the line. Money travels as a decimal string, time as RFC 3339 in UTC
with microseconds. What each field means, and its unit, stands in `tollmeter.model.columns`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec

SCHEMA_VERSION: Final = 1
MAX_COUNT: Final = 2**63 - 1

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
MAX_NUMBER: Final = 1e300
MAX_CONTENT: Final = 16_383
"""Characters, and so at most 65,532 bytes: Redshift Spectrum reads 65,535."""
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Millis = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Id = Annotated[str, msgspec.Meta(max_length=256)]
EVENT_ID: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
EventId = Annotated[str, msgspec.Meta(pattern=EVENT_ID, max_length=36)]
Content = Annotated[str, msgspec.Meta(max_length=MAX_CONTENT)]
Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
Usd = Annotated[Decimal, msgspec.Meta()]
Status = Literal["ok", "error", "partial"]
UsageSource = Literal["reported", "estimated", "missing"]
CostStatus = Literal["priced", "estimated", "partial", "unpriced", "inconsistent"]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named span inside a request, relative to its start."""

    name: Text
    start_ms: Millis
    duration_ms: Millis
    span_id: Id = ""
    parent_span_id: Id = ""
    error_type: Text = ""


class _Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    event_id: EventId
    timestamp: Timestamp
    service: Text
    schema_version: Count = SCHEMA_VERSION
    environment: Text = ""
    version: Text = ""
    region: Text = ""
    account_id: Id = ""
    instance: Id = ""
    losses: dict[str, Count] = {}


class _Attributed(_Identity, frozen=True, kw_only=True, omit_defaults=True):
    request_id: Id = ""
    trace_id: Id = ""
    span_id: Id = ""
    parent_span_id: Id = ""
    user_id: Text = ""
    tenant_id: Text = ""
    team: Text = ""
    feature: Text = ""
    session_id: Text = ""
    prompt_name: Text = ""
    prompt_version: Text = ""
    experiment: Text = ""
    variant: Text = ""
    tags: dict[str, str] = {}
    route: Text = ""


class Request(_Attributed, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="request"):
    """One served HTTP request, WebSocket, queue message, Lambda invocation or background job."""

    method: Text = ""
    status_code: Count | None = None
    duration_ms: Millis = 0.0
    ttfb_ms: Millis | None = None
    response_bytes: Count | None = None
    client_disconnected: bool = False
    error_type: Text = ""
    steps: list[Step] = []
    steps_dropped: Count = 0
    llm_calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_usd: Usd | None = None


class LlmCall(_Attributed, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="llm_call"):
    """One attempt at one model call, child of a request or standing alone."""

    provider: Text = ""
    operation: Text = ""
    request_model: Text = ""
    response_model: Text = ""
    resource_id: Text = ""
    provider_request_id: Text = ""
    credential_ref: Text = ""
    caller_principal: Text = ""
    service_tier: Text = ""
    inference_region: Text = ""
    stream: bool = False
    status: Status = "ok"
    error_type: Text = ""
    http_status: Count | None = None
    finish_reason: Text = ""
    max_tokens: Count | None = None
    attempt: Count | None = None
    fallback_from: Text = ""
    cache_hit: bool = False
    ratelimit_limit_requests: Count | None = None
    ratelimit_remaining_requests: Count | None = None
    ratelimit_limit_tokens: Count | None = None
    ratelimit_remaining_tokens: Count | None = None
    input_content: Content = ""
    output_content: Content = ""
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    input_audio_tokens: Count | None = None
    output_audio_tokens: Count | None = None
    input_image_tokens: Count | None = None
    output_image_tokens: Count | None = None
    server_tool_calls: dict[str, Count] = {}
    usage_source: UsageSource = "missing"
    usage_method: Text = ""
    raw_usage: Text = ""
    latency_ms: Millis | None = 0.0
    ttfb_ms: Millis | None = None
    ttft_ms: Millis | None = None
    output_tokens_per_s: Number | None = None
    cost_usd: Usd | None = None
    input_cost_usd: Usd | None = None
    output_cost_usd: Usd | None = None
    cache_read_cost_usd: Usd | None = None
    cache_write_cost_usd: Usd | None = None
    fees_usd: Usd | None = None
    cost_status: CostStatus = "unpriced"
    price_ref: Text = ""
    cache_savings_usd: Usd | None = None


class Evaluation(_Attributed, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="evaluation"):
    """One score for one model call: a judge's verdict or a user's feedback."""

    call_id: EventId
    name: Text
    score: Number
    evaluator: Text = ""
    comment: Text = ""


class Run(_Identity, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="run"):
    """One ETL run, or one interval of one sink of the forwarder, with counts and losses by reason."""

    component: Text
    sink: Text = ""
    duration_ms: Millis = 0.0
    outcome: Literal["ok", "error"] = "ok"
    error_type: Text = ""
    counts: dict[str, Count] = {}
    lag_ms: Millis | None = None


Event = Request | LlmCall | Evaluation | Run

_encoder: Final = msgspec.json.Encoder(decimal_format="string")


encode_part: Final[Callable[[Any], bytes]] = _encoder.encode
"""A value as it stands in a line."""


def encode(event: Event) -> bytes:
    """The event as one line of JSON, newline included."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> Event:
    """The event on one line, checked against every type and bound.

    Raises:
        msgspec.ValidationError: a field is missing, of the wrong type or out of bounds; the message names its path.
        msgspec.DecodeError: the line is not JSON, or not UTF-8.
    """
    return _decoder().decode(line)


@cache
def _decoder() -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(Event)


def utc_now() -> datetime:
    """Now, in UTC, with microseconds."""
    return datetime.now(UTC)
