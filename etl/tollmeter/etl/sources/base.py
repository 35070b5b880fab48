"""What a source of raw objects can do."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tollmeter.etl.ledger import Ledger, Listing


class Source(Protocol):
    """Finds raw objects; `whole_hours` says whether a listing holds every object of each hour that it touches."""

    name: str
    whole_hours: bool

    def find(self, ledger: Ledger) -> Listing:
        """What there is now, oldest upload first, without what the ledger is known to be past.

        A source that finds nothing more has been read to its end; one with `whole_hours` has after one listing.
        """
        ...

    def acknowledge(self, keys: Collection[str]) -> None:
        """These objects are in the ledger: they need not be told of again."""
        ...

    def close(self) -> None:
        """Let go of connections, and of what was told and not acknowledged."""
        ...
