"""The line of an ordinary call, made without the event: its parts are encoded as they are, one behind the other.

An ordinary call told its usage, and nothing has to look at its event: no content, redactor, spend limit or inference
inside of it. Any other is written as an event; a property test holds the two to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.bounds import ORDINARY_BYTES
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.text import clean_facts, clean_name
from tollmeter.model.events import encode_part
from tollmeter.model.ids import new_trace_id
from tollmeter.model.names import COST_INCONSISTENT, STATUS_OK, USAGE_REPORTED
from tollmeter.pricing.call import known_columns

_DEFAULTS: Final = frozenset({None, False, ""})
"""What a line leaves out."""

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.model.events import Status
    from tollmeter.pricing import Usage


def write_ordinary(call: Call, status: Status, error_type: str) -> bool:
    """Write the line of a call, if it is ordinary; False where nothing was written."""
    usage, facts, recorder = call.usage, call.facts, call.recorder
    if (
        usage is None
        or usage.source != USAGE_REPORTED
        or call.limits
        or call.further
        or call.content is not None
        or losses.counts
        or recorder.redacts
        or "cache_hit" in facts
    ):
        return False
    try:
        if not _DEFAULTS.isdisjoint(facts.values()):
            return False
        fields = _fields(call, usage, status, call.ended or call.now())
        if fields is None:
            return False
        if error_type:
            fields["error_type"] = clean_name(error_type)
        told = encode_part(usage)[1:-1]
        parts = (recorder.call_head, encode_part(clean_facts(facts))[1:-1], b",", told, b"," if told else b"")
        line = b"".join((*parts, encode_part(fields)[1:], b"\n"))
    except Exception:  # noqa: BLE001  a value no one foresaw: it is looked for in the event, field by field
        return False
    if len(line) > ORDINARY_BYTES:
        return False
    if call.context is not None:
        call.context.add_call(call.call_id, (usage.input_tokens, usage.output_tokens), fields.get("cost_usd"))
    recorder.writer.append(line)
    return True


def _fields(call: Call, usage: Usage, status: Status, now: int) -> dict[str, Any] | None:
    """What neither the facts nor the usage tell; None where the call is not ordinary after all."""
    cost = call.cost(usage, status)
    if cost.status == COST_INCONSISTENT:
        return None
    fields = known_columns(cost)
    trace_id, parent_span_id = call.parent
    fields["event_id"] = call.call_id
    fields["timestamp"] = call.started_at
    fields["trace_id"] = trace_id or new_trace_id()
    fields["span_id"] = call.span_id
    fields["usage_source"] = USAGE_REPORTED
    fields["latency_ms"] = (now - call.started) / 1e6
    if parent_span_id:
        fields["parent_span_id"] = parent_span_id
    if status != STATUS_OK:
        fields["status"] = status
    if call.first_byte:
        fields["ttfb_ms"] = (call.first_byte - call.started) / 1e6
    if call.first_token:
        fields["ttft_ms"] = (call.first_token - call.started) / 1e6
        if (speed := call.speed(now)) is not None:
            fields["output_tokens_per_s"] = speed
    return fields if _take_context(fields, call) else None


def _take_context(fields: dict[str, Any], call: Call) -> bool:
    context, recorder = call.context, call.recorder
    if context is None:
        fields |= recorder.attributor.defaults
    elif not _DEFAULTS.isdisjoint(context.attribution.values()):
        return False
    else:
        fields |= context.attribution
        fields["request_id"] = context.request_id
        if route := context.route:
            fields["route"] = route
    if tags := recorder.tags_of(context):
        fields["tags"] = tags
    return True
