"""Events to spans, by the OpenTelemetry conventions: a request, its steps, its model calls.

HTTP by the stable conventions, model calls by the GenAI conventions from 1.37 on
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). What they have no name for is `tollmeter.<field>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from tollmeter.model import names
from tollmeter.model.events import LlmCall, Request

Value = str | bool | int | float | tuple[str, ...]
Kind = Literal["server", "consumer", "client", "internal"]

MAX_TEXT: Final = 1024
"""Bytes (UTF-8) of a name or value; what is longer is cut."""
MAX_TAGS: Final = 32
"""Tags of an event that become attributes, so that no span outgrows the 200 KB that X-Ray takes."""

_MAX_TAG: Final = 256
_MAX_NS: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HEX: Final = re.compile("[0-9a-fA-F]+")
_SERVER_ERROR: Final = 500
_HTTP_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_QUEUE: Final = "QUEUE"

_RESOURCE: Final = (
    ("service", names.SERVICE_NAME),
    ("version", names.SERVICE_VERSION),
    ("instance", names.SERVICE_INSTANCE_ID),
    ("environment", names.DEPLOYMENT_ENVIRONMENT_NAME),
    ("region", names.CLOUD_REGION),
    ("account_id", names.CLOUD_ACCOUNT_ID),
)


def _own(*fields: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, names.OWN_PREFIX + name) for name in fields)


_ATTRIBUTION: Final = (
    ("user_id", names.ENDUSER_ID),
    ("session_id", names.SESSION_ID),
    *_own("request_id", "tenant_id", "team", "feature", "prompt_version", "experiment", "variant"),
)
_OF_REQUEST: Final = (
    *_ATTRIBUTION,
    ("route", names.HTTP_ROUTE),
    ("status_code", names.HTTP_RESPONSE_STATUS_CODE),
    ("response_bytes", names.HTTP_RESPONSE_BODY_SIZE),
    *_own(
        "prompt_name", "ttfb_ms", "client_disconnected", "steps_dropped", "llm_calls", "input_tokens", "output_tokens"
    ),
)
_OF_CALL: Final = (
    *_ATTRIBUTION,
    ("session_id", names.GEN_AI_CONVERSATION_ID),
    ("prompt_name", names.GEN_AI_PROMPT_NAME),
    ("provider", names.GEN_AI_PROVIDER_NAME),
    ("operation", names.GEN_AI_OPERATION_NAME),
    ("request_model", names.GEN_AI_REQUEST_MODEL),
    ("response_model", names.GEN_AI_RESPONSE_MODEL),
    ("provider_request_id", names.GEN_AI_RESPONSE_ID),
    ("max_tokens", names.GEN_AI_REQUEST_MAX_TOKENS),
    ("stream", names.GEN_AI_REQUEST_STREAM),
    ("http_status", names.HTTP_RESPONSE_STATUS_CODE),
    ("input_tokens", names.GEN_AI_USAGE_INPUT_TOKENS),
    ("output_tokens", names.GEN_AI_USAGE_OUTPUT_TOKENS),
    ("cache_read_tokens", names.GEN_AI_USAGE_CACHE_READ_TOKENS),
    ("cache_write_tokens", names.GEN_AI_USAGE_CACHE_WRITE_TOKENS),
    ("cache_write_tokens", names.GEN_AI_USAGE_CACHE_CREATION_TOKENS),
    ("reasoning_tokens", names.GEN_AI_USAGE_REASONING_TOKENS),
    *_own(
        "route", "status", "resource_id", "service_tier", "inference_region", "attempt", "fallback_from", "cache_hit",
        "cache_write_1h_tokens", "usage_source", "usage_method", "cost_status", "price_ref", "output_tokens_per_s",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """One span, ready to be sent; times in nanoseconds since 1970, `parent_id` 0 where there is none.

    `remote_parent` says that the parent is in another process. `failed` with `message` is the status.
    """

    trace_id: int
    span_id: int
    parent_id: int
    remote_parent: bool
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    resource: tuple[tuple[str, str], ...]
    attributes: dict[str, Value] = field(default_factory=dict)
    failed: bool = False
    message: str = ""

    @property
    def size(self) -> int:
        """No fewer bytes than it takes on the wire (protobuf), with its resource."""
        pairs = [*self.resource, *self.attributes.items()]
        texts = _width(self.name) + _width(self.message)
        return 160 + texts + sum(16 + _width(name) + _width(value) for name, value in pairs)


class _Place(NamedTuple):
    """Where a span belongs."""

    trace_id: int
    span_id: int
    parent_id: int
    start_ns: int
    resource: tuple[tuple[str, str], ...]


def spans(event: Request | LlmCall) -> list[Span]:
    """The spans of one event: a request and its steps, or a model call; none where its ids or times are no span's.

    Ids are the event's own, so that what is sent again is the same span.

    >>> spans(Request(event_id="", timestamp=_EPOCH, service="chat"))
    []
    """
    trace_id, span_id = _number(event.trace_id, 32), _number(event.span_id, 16)
    start = (event.timestamp - _EPOCH) // _MICROSECOND * 1000
    if not (trace_id and span_id and 0 < start < _MAX_NS):
        return []
    resource = tuple((out, text) for own, out in _RESOURCE if (text := cut(getattr(event, own))))
    place = _Place(trace_id, span_id, _number(event.parent_span_id, 16), start, resource)
    if isinstance(event, LlmCall):
        return [_of_call(event, place)]
    return [_of_request(event, place), *_of_steps(event, place)]


def cut(text: str, size: int = MAX_TEXT) -> str:
    r"""A text of so many bytes of UTF-8 at most; a lone surrogate becomes `?`.

    >>> cut("naïve", 3), cut("\ud800")
    ('na', '?')
    """
    if len(text) <= size and text.isascii():
        return text
    return text[:size].encode(errors="replace")[:size].decode(errors="ignore")


def _of_request(event: Request, place: _Place) -> Span:
    is_http = event.method in _HTTP_METHODS
    failed = event.error_type or (str(event.status_code) if (event.status_code or 0) >= _SERVER_ERROR else "")
    more = {
        names.HTTP_REQUEST_METHOD if is_http else names.OWN_PREFIX + "method": event.method,
        names.ERROR_TYPE: failed,
    }
    return Span(
        place.trace_id,
        place.span_id,
        place.parent_id,
        remote_parent=True,
        name=cut(f"{event.method} {event.route}".strip()) or "request",
        kind="consumer" if event.method == _QUEUE else "server",
        start_ns=place.start_ns,
        end_ns=place.start_ns + _nanos(event.duration_ms),
        resource=place.resource,
        attributes=_attributes(event, _OF_REQUEST) | _texts(more),
        failed=bool(failed),
        message=cut(event.error_type),
    )


def _of_steps(event: Request, place: _Place) -> Iterator[Span]:
    for step in event.steps:
        span_id = _number(step.span_id, 16)
        if span_id:
            start = place.start_ns + _nanos(step.start_ms)
            yield Span(
                place.trace_id,
                span_id,
                _number(step.parent_span_id, 16) or place.span_id,
                remote_parent=False,
                name=cut(step.name) or "step",
                kind="internal",
                start_ns=start,
                end_ns=start + _nanos(step.duration_ms),
                resource=place.resource,
                attributes=_texts({names.ERROR_TYPE: step.error_type}),
                failed=bool(step.error_type),
                message=cut(step.error_type),
            )


def _of_call(event: LlmCall, place: _Place) -> Span:
    failed = event.status == names.STATUS_ERROR
    error = event.error_type or (str(event.http_status or names.ERROR_OTHER) if failed else "")
    return Span(
        place.trace_id,
        place.span_id,
        place.parent_id,
        remote_parent=False,
        name=cut(f"{event.operation} {event.request_model or event.response_model}".strip()) or "llm_call",
        kind="client",
        start_ns=place.start_ns,
        end_ns=place.start_ns + _nanos(event.latency_ms or 0.0),
        resource=place.resource,
        attributes=_attributes(event, _OF_CALL) | _answer(event) | _texts({names.ERROR_TYPE: error}),
        failed=failed,
        message=cut(error) if failed else "",
    )


def _answer(event: LlmCall) -> dict[str, Value]:
    """What is not the event's field as it stands."""
    found: dict[str, Value] = {}
    if event.finish_reason:
        found[names.GEN_AI_RESPONSE_FINISH_REASONS] = (cut(event.finish_reason),)
    if event.ttft_ms is not None:
        found[names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = event.ttft_ms / 1000
    if event.service_tier and event.provider in (names.PROVIDER_OPENAI, names.PROVIDER_AZURE_OPENAI):
        found[names.OPENAI_RESPONSE_SERVICE_TIER] = cut(event.service_tier)
    return found


def _attributes(event: Request | LlmCall, rows: tuple[tuple[str, str], ...]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for own, out in rows:
        value: Any = getattr(event, own)
        if value is None or value is False or value == "":
            continue
        found[out] = cut(value) if isinstance(value, str) else value
    if event.cost_usd is not None and event.cost_usd.is_finite():
        found[names.OWN_COST_USD] = float(event.cost_usd)
        found[names.OWN_COST_USD_EXACT] = cut(str(event.cost_usd), _MAX_TAG)
    for key, value in list(event.tags.items())[:MAX_TAGS]:
        found[names.OWN_TAG_PREFIX + cut(key, _MAX_TAG)] = cut(value, _MAX_TAG)
    return found


def _texts(pairs: Mapping[str, str]) -> dict[str, Value]:
    return {name: cut(text) for name, text in pairs.items() if text}


def _number(digits: str, length: int) -> int:
    """An id as a number; 0 where it is none."""
    return int(digits, 16) if len(digits) == length and _HEX.fullmatch(digits) else 0


def _nanos(millis: float) -> int:
    return round(millis * 1_000_000)


def _width(value: Value) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else 4 * len(value)
    return sum(8 + _width(each) for each in value) if isinstance(value, tuple) else 8
