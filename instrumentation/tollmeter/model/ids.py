"""Identifiers: UUIDv7 for events, W3C hex for traces and spans, UUIDv5 for what is imported."""

from __future__ import annotations

import os
import time
import uuid
from random import Random, SystemRandom
from typing import Final

_IMPORTS: Final = uuid.UUID("6f1c1a5e-0d5f-5d0e-9a39-6f3a1d1f7b11")
_NEVER_ZERO: Final = 1 << 192 | 1 << 128  # the last bit of the trace id, and of the span id
_MS: Final = 1_000_000
_system = SystemRandom()
_own: Final = Random()  # noqa: S311  ids are no secrets; the host may seed the shared one, in all workers alike
os.register_at_fork(after_in_child=_own.seed)
getrandbits: Final = _own.getrandbits


def new_event_id() -> str:
    """A UUIDv7 as 36 characters: unique, and sorted by time of creation, to a quarter of a µs (RFC 9562 §5.7, §6.2)."""
    # Made here: with cold caches, as between two requests, a library's costs ten times as much.
    ms, rest = divmod(time.time_ns(), _MS)
    number = ms << 80 | 7 << 76 | (rest << 12) // _MS << 64 | 2 << 62 | getrandbits(62)
    text = number.to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_trace_id() -> str:
    """32 lower-case hex digits, never all zero (W3C Trace Context §3.2.2.3)."""
    return (getrandbits(128) or 1).to_bytes(16, "big").hex()  # a third of what formatting costs


def new_span_id() -> str:
    """16 lower-case hex digits, never all zero (W3C Trace Context §3.2.2.4)."""
    return (getrandbits(64) or 1).to_bytes(8, "big").hex()


def new_request_ids() -> tuple[str, str, str]:
    """A trace id, a span id and a request id of 32 digits, drawn at once: it costs a third of one after the other."""
    drawn = (getrandbits(320) | _NEVER_ZERO).to_bytes(40, "big").hex()
    return drawn[:32], drawn[32:48], drawn[48:]


def imported_event_id(source: str, source_id: str) -> str:
    """The UUIDv5 of one record of another system, so that importing it twice lands one row.

    >>> imported_event_id("azure-2023-code", "7") == imported_event_id("azure-2023-code", "7")
    True
    """
    return str(uuid.uuid5(_IMPORTS, f"{source}\x1f{source_id}"))


def new_instance_id() -> str:
    """16 hex digits for one process, from the operating system's entropy (safe after a fork)."""
    return f"{_system.getrandbits(64):016x}"
