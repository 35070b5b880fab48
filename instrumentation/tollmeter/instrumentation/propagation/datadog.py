"""Datadog's headers: decimal ids of 64 bits, and in a tag the upper half of a trace id of 128.

https://docs.datadoghq.com/tracing/trace_collection/trace_context_propagation/
"""

from __future__ import annotations

import re
from typing import Final

from tollmeter.instrumentation.propagation.span_context import Headers, SpanContext, flags_of
from tollmeter.model.names import (
    HEADER_DATADOG_PARENT_ID,
    HEADER_DATADOG_PRIORITY,
    HEADER_DATADOG_TAGS,
    HEADER_DATADOG_TRACE_ID,
)

_TRACE_ID: Final = HEADER_DATADOG_TRACE_ID.encode()
_PARENT_ID: Final = HEADER_DATADOG_PARENT_ID.encode()
_PRIORITY: Final = HEADER_DATADOG_PRIORITY.encode()
_TAGS: Final = HEADER_DATADOG_TAGS.encode()
_DECIMAL: Final = re.compile(rb"[0-9]{1,20}")
_NOT_KEPT: Final = re.compile(rb"0|-[0-9]+")
_UPPER: Final = re.compile(rb"(?:^|,)\s*_dd\.p\.tid=([0-9a-f]{16})\s*(?:,|$)")
_UPPER_TAG: Final = "_dd.p.tid"
_MAX_TAGS: Final = 512  # Datadog's own bound
_HALF: Final = 1 << 64


def read(headers: Headers) -> SpanContext | None:
    """The caller's span, or None where the trace id is no number of 64 bits.

    >>> read({b"x-datadog-trace-id": b"255", b"x-datadog-parent-id": b"16"})
    SpanContext(trace_id='000000000000000000000000000000ff', span_id='0000000000000010', flags='01', state='')
    """
    lower = _number(headers.get(_TRACE_ID, b""))
    if not lower:
        return None
    span = _number(headers.get(_PARENT_ID, b""))
    kept = not _NOT_KEPT.fullmatch(headers.get(_PRIORITY, b"").strip())
    upper = _upper(headers.get(_TAGS, b""))
    return SpanContext(f"{upper}{lower:016x}", f"{span:016x}" if span else "", flags_of(sampled=kept))


def write(span: SpanContext) -> dict[str, str]:
    """The headers that tell of a span."""
    headers = {
        HEADER_DATADOG_TRACE_ID: str(int(span.trace_id[16:], 16)),
        HEADER_DATADOG_PARENT_ID: str(int(span.span_id, 16)),
        HEADER_DATADOG_PRIORITY: str(int(span.is_sampled)),
    }
    upper = span.trace_id[:16]
    return headers | {HEADER_DATADOG_TAGS: f"{_UPPER_TAG}={upper}"} if upper.strip("0") else headers


def _number(value: bytes) -> int:
    value = value.strip()
    number = int(value) if _DECIMAL.fullmatch(value) else 0
    return number if number < _HALF else 0


def _upper(tags: bytes) -> str:
    found = _UPPER.search(tags) if len(tags) <= _MAX_TAGS else None
    return found[1].decode() if found else "0" * 16
