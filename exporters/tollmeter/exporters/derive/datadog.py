"""Datadog's own forms: the tags it takes, and the ids that join a log line to its trace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.events import LlmCall, Request, Run
from tollmeter.model.metric_names import datadog_tag

if TYPE_CHECKING:
    from tollmeter.exporters.derive.metrics import Pairs
    from tollmeter.model.events import Event

MAX_TAG: Final = 200
"""Characters of a tag, its name included (https://docs.datadoghq.com/getting_started/tagging/)."""

_LONG: Final = 1 << 64
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16


def tags(dimensions: Pairs) -> list[str]:
    """Dimensions as tags; `environment` is `env`, as unified service tagging has it, and an empty one is left out.

    The client replaces what no tag may hold.

    >>> tags((("environment", "prod"), ("team", ""), ("request_model", "gpt-4o")))
    ['env:prod', 'request_model:gpt-4o']
    """
    return [f"{datadog_tag(name)}:{value}"[:MAX_TAG] for name, value in dimensions if value]


def ended_s(event: Event) -> float:
    """When what the event tells of was over, in epoch seconds."""
    lasted = (event.latency_ms or 0.0) if isinstance(event, LlmCall) else 0.0
    lasted = event.duration_ms if isinstance(event, Request | Run) else lasted
    return event.timestamp.timestamp() + timedelta(milliseconds=lasted).total_seconds()


def log_ids(event: Mapping[str, Any]) -> dict[str, str]:
    """The fields that join a log line to its trace in Datadog.

    `dd.trace_id` is written as ddtrace does: in hex where it has more than 64 bits, else in decimal.

    >>> log_ids({"trace_id": "0" * 16 + "00000000000000ff", "span_id": "00000000000000ff", "service": "chat"})
    {'dd.trace_id': '255', 'dd.span_id': '255', 'dd.service': 'chat'}
    """
    trace_id, span_id = event.get("trace_id"), event.get("span_id")
    found = {
        "dd.trace_id": _trace_id(trace_id) if isinstance(trace_id, str) else "",
        "dd.span_id": _decimal(span_id, _SPAN_DIGITS) if isinstance(span_id, str) else "",
        "dd.service": event.get("service"),
        "dd.env": event.get("environment"),
        "dd.version": event.get("version"),
    }
    return {name: text for name, text in found.items() if text and isinstance(text, str)}


def _trace_id(digits: str) -> str:
    decimal = _decimal(digits, _TRACE_DIGITS)
    return digits.lower() if decimal and int(decimal) >= _LONG else decimal


def _decimal(digits: str, length: int) -> str:
    try:
        number = int(digits, 16) if len(digits) == length else 0
    except ValueError:
        return ""
    return str(number) if number > 0 else ""
