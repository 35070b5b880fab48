"""A span as another service sees it, whichever headers tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

Headers = Mapping[bytes, bytes]
"""Headers of a request, names in lower case."""

SAMPLED: Final = "01"
NOT_SAMPLED: Final = "00"


class SpanContext(NamedTuple):
    """Trace id (32 hex digits), span id (16, or empty where only the trace is known), flags (2) and W3C tracestate."""

    trace_id: str
    span_id: str
    flags: str = SAMPLED
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records it."""
        return int(self.flags, 16) & 1 == 1


def flags_of(*, sampled: bool) -> str:
    """The flags of a header that says no more than that."""
    return SAMPLED if sampled else NOT_SAMPLED
