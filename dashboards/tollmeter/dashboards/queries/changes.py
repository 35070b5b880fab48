"""What changed from the outside: versions that were deployed, price rows that came into force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.window import Window

LOOK_BACK: Final = timedelta(days=8)
"""How long before a span is looked at: what ran then was not deployed within it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A version of a service that called a model at a price row, from its first call on (UTC)."""

    service: str
    environment: str
    version: str
    model: str
    price_ref: str
    first_at: datetime


def changes_seen(lake: Lake, viewer: Viewer, span: Window) -> list[Seen]:
    """What was seen in a span and the week before it, in order of its first call.

    Raises:
        QueryError: the lake could not answer.
    """
    rows = lake.rows(viewer, "changes_seen", since=span.start - LOOK_BACK, until=span.end)
    return [
        Seen(
            row["service"], row["environment"], row["version"], row["model"], row["price_ref"], row["first_at"]
        )
        for row in rows
    ]  # fmt: skip
