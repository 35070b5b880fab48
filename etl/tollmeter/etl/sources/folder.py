"""Raw objects in a folder: what the forwarder uploads where there is no S3."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tollmeter.etl.discover import RawObject, Span, hour_of
from tollmeter.etl.ledger import Ledger, Listing

if TYPE_CHECKING:
    from tollmeter.model.home import Home

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEHIND_NS: Final = 20_000_000


class FolderSource:
    """The files below a folder; those of the home's own raw folder go by their path relative to it."""

    whole_hours = True

    def __init__(self, home: Home, folder: str, span: Span) -> None:
        self._folder = Path(folder).expanduser().absolute() if folder else home.raw
        self.name = str(self._folder)
        self._base = home.raw if self._folder.is_relative_to(home.raw) else Path()
        self._span = span

    def find(self, ledger: Ledger) -> Listing:
        """The files; an hour that the ledger is past is entered only if its folder has changed since.

        Hidden files are uploads under way.
        """
        at, objects = _now(), sorted(self._objects(ledger), key=lambda found: found.key)
        roots = {hour.root for found in objects if (hour := hour_of(found.key))}
        return Listing(objects, at, tuple(sorted(roots)) if self._span == Span() else ())

    def acknowledge(self, keys: Collection[str]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def _objects(self, ledger: Ledger) -> Iterator[RawObject]:
        for folder, below, names in os.walk(self._folder):
            place = Path(folder)
            below[:] = [name for name in below if not name.startswith(".") and self._is_due(place / name, ledger)]
            for name in names:
                if not name.startswith("."):
                    yield from self.object_at(place / name)

    def _is_due(self, folder: Path, ledger: Ledger) -> bool:
        """Whether a folder may hold what is new; only one of a whole hour can be left out."""
        key = f"{self._key(folder)}/"
        hour = hour_of(key)
        if hour is None or hour.prefix != key:
            return True
        since, at = ledger.listed_from(hour.root), ledger.folded_at(hour.root)
        if self._span.since or since is None or at is None:
            return self._span.holds(key)
        has_changed = _moment(folder.stat().st_ctime_ns) >= at
        return self._span.holds(key) if has_changed else self._span.from_hour(since).holds(key)

    def object_at(self, path: Path) -> Iterator[RawObject]:
        """The object that a file is, where it is there and in the span."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return
        key = self._key(path)
        if self._span.holds(key):
            # Not the time it was last written: a file that is moved or copied here keeps that.
            yield RawObject(key, found.st_size, _moment(found.st_ctime_ns))

    def _key(self, path: Path) -> str:
        return path.relative_to(self._base).as_posix() if self._base != Path() else path.as_posix()


def _now() -> datetime:
    """A little before now: files are stamped by a clock that is some milliseconds behind."""
    return _moment(time.time_ns() - _BEHIND_NS)


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
