"""W3C Trace Context, level 2: https://www.w3.org/TR/trace-context-2/."""

from __future__ import annotations

import re
from typing import Final

from tollmeter.instrumentation.propagation.span_context import Headers, SpanContext
from tollmeter.model.names import HEADER_TRACEPARENT, HEADER_TRACESTATE

_PARENT: Final = HEADER_TRACEPARENT.encode()
_STATE: Final = HEADER_TRACESTATE.encode()
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e\t]*")
_MAX_STATE: Final = 512
_KNOWN_FLAGS: Final = 0x03  # sampled, random; others must not be handed on (§3.2.2.5.3)


def read(headers: Headers) -> SpanContext | None:
    """The caller's span, or None where the header is missing or malformed (§3.2).

    >>> read({b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).span_id
    '00f067aa0ba902b7'
    """
    match = _TRACEPARENT.fullmatch(headers.get(_PARENT, b"").strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    known = flags.decode() if flags in (b"00", b"01") else f"{int(flags, 16) & _KNOWN_FLAGS:02x}"
    state = headers.get(_STATE)
    return SpanContext(trace_id.decode(), span_id.decode(), known, _state(state) if state else "")


def write(span: SpanContext) -> dict[str, str]:
    """The headers that tell of a span."""
    parent = {HEADER_TRACEPARENT: f"00-{span.trace_id}-{span.span_id}-{span.flags}"}
    return parent | {HEADER_TRACESTATE: span.state} if span.state else parent


def _state(value: bytes) -> str:
    # Whole members only; 512 characters are what must be handed on (§3.3.1.5).
    if not _PRINTABLE.fullmatch(value):
        return ""
    if len(value) > _MAX_STATE:
        value = value[: _MAX_STATE + 1].rpartition(b",")[0]
    return value.decode().strip()
