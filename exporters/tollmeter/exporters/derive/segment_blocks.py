"""The blocks of a segment document: times, HTTP, outcome and cause, annotations, metadata.

By the rules of the OpenTelemetry collector's awsxrayexporter, so that a trace looks the same whoever translated it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from tollmeter.exporters.derive.segment_text import MAX_ANNOTATION, MAX_STRING, clean, derived_id
from tollmeter.model.events import LlmCall, Request
from tollmeter.model.names import CONTENT_FIELDS, STATUS_ERROR, STATUS_OK, STATUS_PARTIAL

MAX_ANNOTATIONS: Final = 50
"""What X-Ray indexes of a trace."""

_THROTTLED: Final = 429
_CLIENT_ERRORS: Final = range(400, 500)
_FIRST_FAULT: Final = 500
_MAX_MAGNITUDE: Final = 15
_MAX_DIGITS: Final = 40
_RESERVED: Final = "aws."

_SHARED: Final = (
    ("request_id", "request_id"), ("tenant", "tenant_id"), ("team", "team"), ("feature", "feature"),
    ("route", "route"), ("environment", "environment"),
)  # fmt: skip
_TOLD_ELSEWHERE: Final = frozenset(
    {
        "event_id", "timestamp", "service", "schema_version", "trace_id", "span_id", "parent_span_id", "steps", "tags",
        "method", "duration_ms", "latency_ms",
    }
)  # fmt: skip

_FIELDS: Final = dict(_SHARED)


def _facts(kind: type[Request | LlmCall]) -> list[tuple[str, object]]:
    found = [field for field in msgspec.structs.fields(kind) if field.name not in _TOLD_ELSEWHERE.union(CONTENT_FIELDS)]
    made = [field.default_factory for field in found]
    return [
        (field.name, field.default if factory is msgspec.NODEFAULT else factory())
        for field, factory in zip(found, made, strict=True)
    ]


_FACTS: Final = {kind: _facts(kind) for kind in (Request, LlmCall)}


def times(start: datetime, offset_ms: float, lasting_ms: float) -> dict[str, float]:
    """Start and end in seconds since 1970, to the microsecond."""
    begin = start.timestamp() + offset_ms / 1e3
    return {"start_time": round(begin, 6), "end_time": round(begin + lasting_ms / 1e3, 6)}


def outcome(segment_id: str, status: int | None, error_type: str, *, failed: bool, remote: bool) -> dict[str, Any]:
    """`error`, `fault`, `throttle`, `cause`: 4xx is the caller's error, 429 throttled besides; else it is a fault."""
    block: dict[str, Any] = {}
    if status in _CLIENT_ERRORS:
        block["error"] = True
        if status == _THROTTLED:
            block["throttle"] = True
    elif failed or (status or 0) >= _FIRST_FAULT:
        block["fault"] = True
    if block and error_type:
        told = {"id": derived_id(segment_id, "exception"), "type": clean(error_type)[:MAX_STRING]}
        block["cause"] = {"exceptions": [told | ({"remote": True} if remote else {})]}
    return block


def http_of_request(request: Request) -> dict[str, Any]:
    """What was asked and how it was answered; the route stands for the URL, which events do not keep."""
    asked = {"method": request.method, "url": request.route} if request.method else {}
    answered = {"status": request.status_code, "content_length": request.response_bytes}
    return _http({name: clean(text)[:MAX_STRING] for name, text in asked.items() if text}, answered)


def http_of_call(call: LlmCall) -> dict[str, Any]:
    """How the provider answered; a call is a POST."""
    return _http({"method": "POST"}, {"status": call.http_status}) if call.http_status is not None else {}


def _http(asked: dict[str, str], answered: Mapping[str, int | None]) -> dict[str, Any]:
    known = {name: value for name, value in answered.items() if value is not None}
    block = {name: part for name, part in (("request", asked), ("response", known)) if part}
    return {"http": block} if block else {}


def annotations_of_request(request: Request) -> dict[str, Any]:
    """What people search requests by; sums are named apart from those of calls, which add up."""
    failed = bool(request.error_type) or (request.status_code or 0) >= _FIRST_FAULT
    ended = STATUS_PARTIAL if request.client_disconnected else STATUS_ERROR if failed else STATUS_OK
    found = shared_annotations(request) | {"status": ended}
    if request.llm_calls:
        found["total_tokens"] = request.input_tokens + request.output_tokens
        found |= _usd("total_cost_usd", request.cost_usd)
    return found


def annotations_of_call(call: LlmCall) -> dict[str, Any]:
    """What people search model calls by."""
    texts = {
        "model": call.response_model or call.request_model,
        "provider": call.provider,
        "operation": call.operation,
        "status": call.status,
    }
    found: dict[str, Any] = {name: annotation(text) for name, text in texts.items() if text}
    if call.input_tokens is not None or call.output_tokens is not None:
        found["tokens"] = (call.input_tokens or 0) + (call.output_tokens or 0)
    return found | _usd("cost_usd", call.cost_usd)


def shared_annotations(event: Request | LlmCall) -> dict[str, Any]:
    """Whose it is and where it happened."""
    return {key: annotation(text) for key, field in _SHARED if (text := getattr(event, field))}


def annotation(text: str) -> str:
    """A value that X-Ray indexes: 1,000 characters at most."""
    return clean(text)[:MAX_ANNOTATION]


def metadata(event: Request | LlmCall, annotated: Iterable[str] = ()) -> dict[str, Any]:
    """All that the event says and no other block does whole, but for prompts and answers; tags have their namespace."""
    told = {_FIELDS.get(key, key) for key in annotated}
    facts = {
        name: _plain(value)
        for name, default in _FACTS[type(event)]
        if (value := getattr(event, name)) != default and not (name in told and _is_whole(value))
    }
    block = {"tollmeter": facts} if facts else {}
    return {"metadata": block | ({"tags": _plain(event.tags)} if event.tags else {})} if block or event.tags else {}


def _is_whole(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= MAX_ANNOTATION


def _usd(name: str, amount: Decimal | None) -> dict[str, Decimal]:
    return {name: amount} if amount is not None and _is_number(amount) else {}


def _is_number(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount.adjusted()) <= _MAX_MAGNITUDE and len(str(amount)) <= _MAX_DIGITS


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Decimal):
        return value if _is_number(value) else str(value)
    if isinstance(value, dict):
        return {_key(name): _plain(inner) for name, inner in value.items()}
    return value


def _key(name: str) -> str:
    # `AWS.` begins the keys of AWS's own SDKs.
    return f"_{clean(name)}" if name.lower().startswith(_RESERVED) else clean(name)
