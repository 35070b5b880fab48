"""What the queries hand to the shell: plain records, times UTC without zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Extent:
    """What the lake holds over all time: first and last call, newest landing; None where there is nothing.

    A viewer of some tenants is not told when rows landed.
    """

    first: datetime | None = None
    last: datetime | None = None
    ingested: datetime | None = None
