"""The timeline of a request: its steps and model calls as bars from its beginning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.queries.calls import CallStep
from tollmeter.model.names import STATUS_ERROR, STATUS_PARTIAL

Kind = Literal["request", "step", "call"]
MOST_BARS: Final = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: from where to where (ms from the start of the timeline), how deep it is nested, and what it says.

    `left` and `width` are shares of the whole, 0 to 100. `event_id` and `day` lead to the call, where it is one.
    """

    name: str
    kind: Kind
    start_ms: float
    duration_ms: float
    left: float
    width: float
    depth: int
    label: str
    tone: str
    event_id: str = ""
    day: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars in order of their beginning; `total_ms` is the length of the whole, `dropped` how many are left out."""

    bars: tuple[Bar, ...]
    total_ms: float
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Span:
    name: str
    kind: Kind
    start_ms: float
    duration_ms: float
    span_id: str
    parent: str
    label: str
    tone: str
    event_id: str = ""
    day: str = ""


def timeline(request: Mapping[str, Any] | None, calls: Sequence[CallStep], chosen: str = "") -> Timeline:
    """The timeline of a request and its calls; of calls alone where the request is not in the lake."""
    moments = [call.created_at for call in calls] + ([request["timestamp"]] if request else [])
    if not moments:
        return Timeline((), 0.0)
    origin = min(moments)
    spans = [*(_of_request(request, origin) if request else []), *(_of_call(call, origin) for call in calls)]
    total = max(span.start_ms + span.duration_ms for span in spans) or 1.0
    spans.sort(key=lambda span: (span.start_ms, span.kind != "request", -span.duration_ms))
    depths = _depths(spans)
    bars = tuple(_bar(span, depths[index], total, chosen) for index, span in enumerate(spans))
    return Timeline(bars[:MOST_BARS], total, max(0, len(bars) - MOST_BARS))


def _of_request(request: Mapping[str, Any], origin: datetime) -> list[_Span]:
    start = _ms(request["timestamp"], origin)
    duration = request["duration_ms"] or 0.0
    code = request["status_code"]
    label = " · ".join(
        part for part in (formats.duration(duration), str(code or ""), request["error_type"] or "") if part
    )
    name = " ".join(part for part in (request["method"], request["route"]) if part) or "request"
    tone = "bad" if request["error_type"] else "request"
    spans = [_Span(name, "request", start, duration, request["span_id"] or "", "", label, tone)]
    return [*spans, *(_of_step(step, start) for step in _steps(request["steps"]))]


def _of_step(step: Mapping[str, Any], start: float) -> _Span:
    return _Span(
        str(step.get("name", "")), "step", start + _number(step.get("start_ms")), _number(step.get("duration_ms")),
        str(step.get("span_id", "")), str(step.get("parent_span_id", "")), _step_label(step),
        "bad" if step.get("error_type") else "step",
    )  # fmt: skip


def _steps(text: str | None) -> list[dict[str, Any]]:
    steps = json.loads(text) if text else []
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _step_label(step: Mapping[str, Any]) -> str:
    parts = (formats.duration(_number(step.get("duration_ms"))), str(step.get("error_type", "")))
    return " · ".join(part for part in parts if part)


def _of_call(call: CallStep, origin: datetime) -> _Span:
    said = [formats.duration(call.latency_ms), formats.money(call.cost_usd) if call.cost_usd is not None else ""]
    if call.status == STATUS_ERROR:
        said.append(call.error_type or str(call.http_status or "") or "failed")
    if call.attempt and call.attempt > 1:
        said.append(f"attempt {call.attempt}")
    if call.fallback_from:
        said.append(f"instead of {call.fallback_from}")
    tone = {STATUS_ERROR: "bad", STATUS_PARTIAL: "partial"}.get(call.status, "call")
    return _Span(
        call.model, "call", _ms(call.created_at, origin), call.latency_ms or 0.0, call.span_id, call.parent_span_id,
        " · ".join(part for part in said if part), tone, call.event_id, call.event_date.isoformat(),
    )  # fmt: skip


def _depths(spans: Sequence[_Span]) -> list[int]:
    """How deep each span is nested; what has no parent here stands below the request."""
    by_id = {span.span_id: index for index, span in enumerate(spans) if span.span_id}
    has_request = any(span.kind == "request" for span in spans)
    depths = []
    for start in range(len(spans)):
        at, seen = start, {start}
        while (above := by_id.get(spans[at].parent)) is not None and above not in seen:
            at = above
            seen.add(above)
        depths.append(len(seen) - 1 + int(has_request and spans[at].kind != "request"))
    return depths


def _bar(span: _Span, depth: int, total: float, chosen: str) -> Bar:
    left = 100 * span.start_ms / total
    return Bar(
        span.name, span.kind, span.start_ms, span.duration_ms, round(left, 3), round(100 * span.duration_ms / total, 3),
        depth, span.label, span.tone, span.event_id, span.day, bool(chosen) and span.event_id == chosen,
    )  # fmt: skip


def _ms(moment: datetime, origin: datetime) -> float:
    return (moment - origin).total_seconds() * 1000


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
