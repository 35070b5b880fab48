"""Lines to events, as sinks read them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tollmeter.model.events import Event, decode


def decoded(lines: Iterable[bytes]) -> tuple[list[Event], int]:
    """The events on some lines, and how many lines are none.

    >>> decoded([b"{", b""])
    ([], 2)
    """
    events: list[Event] = []
    invalid = 0
    for line in lines:
        try:
            events.append(decode(line))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            invalid += 1
    return events, invalid
