"""Lines to events, as sinks read them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tollmeter.model.events import Event, LlmCall, Request, decode


def decoded(lines: Iterable[bytes]) -> tuple[list[Event], int]:
    """The events on some lines, and how many lines are none.

    >>> decoded([b"{", b""])
    ([], 2)
    """
    events: list[Event] = []
    invalid = 0
    for line in lines:
        try:
            event = decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            invalid += 1
            continue
        if _adds_up(event):
            events.append(event)
        else:
            invalid += 1
    return events, invalid


def _adds_up(event: Event) -> bool:
    """Whether its cost, if any, is a number: NaN is a decimal too, and one would spoil every sum and comparison."""
    return not isinstance(event, LlmCall | Request) or event.cost_usd is None or event.cost_usd.is_finite()
