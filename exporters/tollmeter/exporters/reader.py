"""Reads the spool: closed segments, open ones up to their last whole line; takes over those whose writer is gone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tollmeter.model.spool import (
    CLOSED_SUFFIX,
    OPEN_SUFFIX,
    adopt_segment,
    closed_segments,
    open_segments,
    read_lines,
    sweep_unborn,
)

OWN_SERVICE: Final = "tollmeter"
"""The service the forwarder reports as."""
_CHUNK: Final = 1 << 20
_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it was when the spool was listed.

    `size` is in bytes; `created`, in seconds since the epoch, is when its first event was written, to a second or so.
    """

    segment_id: str
    folder: Path
    closed: bool
    size: int
    created: float

    @property
    def service(self) -> str:
        """Name of the folder, which is the service's with odd characters replaced."""
        return self.folder.name

    @property
    def own(self) -> bool:
        """Whether it holds the forwarder's own events, which are shipped and not counted."""
        return self.service == OWN_SERVICE

    @property
    def path(self) -> Path:
        """Where it lay when it was listed; an open one may be renamed at any time."""
        return self.folder / f"{self.segment_id}{CLOSED_SUFFIX if self.closed else OPEN_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines without newlines, and the offset behind the last of them."""

    lines: list[bytes]
    end: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was taken over from writers that died; `torn_lines` lost their end with their writer."""

    segments: int = 0
    torn_lines: int = 0
    torn_bytes: int = 0
    failures: int = 0


class SpoolReader:
    """The spool of one home, all services."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def segments(self, *, closed_only: bool = False) -> list[Segment]:
        """All segments, oldest first."""
        found = [s for folder in self._folders() for s in _segments(folder, closed_only=closed_only)]
        return sorted(found, key=lambda segment: segment.segment_id)

    def adopt(self) -> Adoption:
        """Close every open segment whose writer is gone; one that cannot be closed is counted and left."""
        adopted = torn = torn_bytes = failures = 0
        for path in [path for folder in self._folders() for path in open_segments(folder)]:
            try:
                closed = adopt_segment(path)
            except OSError:
                failures += 1
                continue
            if closed:
                adopted += 1
                torn += closed.torn_bytes > 0
                torn_bytes += closed.torn_bytes
        return Adoption(adopted, torn, torn_bytes, failures)

    def sweep(self) -> int:
        """Remove what writers left that died while creating a segment; returns how many files."""
        return sum(sweep_unborn(folder) for folder in self._folders())

    def exists(self, segment_id: str) -> bool:
        """Whether the segment lies in any folder, open or closed."""
        # Open first: one that is closed between the two looks is then found by the second.
        return any(
            (folder / f"{segment_id}{suffix}").exists()
            for folder in self._folders()
            for suffix in (OPEN_SUFFIX, CLOSED_SUFFIX)
        )

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self._spool.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []


def read_batch(segment: Segment, offset: int, size: int) -> Batch:
    """About `size` bytes of whole lines from `offset` on; empty when there is none yet.

    Raises:
        OSError: the segment cannot be read.
    """
    try:
        return Batch(*read_lines(segment.path, offset, size))
    except FileNotFoundError:
        if segment.closed:
            raise
        # Its writer closed it since it was listed.
        return Batch(*read_lines(segment.folder / f"{segment.segment_id}{CLOSED_SUFFIX}", offset, size))


def count_lines(segment: Segment, offset: int) -> int:
    """How many lines of a segment end behind `offset`.

    Raises:
        OSError: the segment cannot be read.
    """
    with segment.path.open("rb") as file:
        file.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(partial(file.read, _CHUNK), b""))


def _segments(folder: Path, *, closed_only: bool) -> Iterator[Segment]:
    opened = [] if closed_only else open_segments(folder)
    closed = {segment.segment_id: segment.path for segment in closed_segments(folder)}
    for path in opened:
        if (name := path.name.removesuffix(OPEN_SUFFIX)) not in closed:
            yield from _listed(name, path, closed=False)
    for name, path in closed.items():
        yield from _listed(name, path, closed=True)


def _listed(name: str, path: Path, *, closed: bool) -> Iterator[Segment]:
    try:
        stat = path.stat()
    except FileNotFoundError:  # renamed since it was listed; the next look finds it
        return
    yield Segment(name, path.parent, closed, stat.st_size, created(name) or stat.st_mtime)


def created(segment_id: str) -> float | None:
    """When a segment was made, in seconds since the epoch, which its id tells; None where it is no UUIDv7."""
    try:
        parsed = uuid.UUID(segment_id)
    except ValueError:
        return None
    return (parsed.int >> 80) / _MS if parsed.version == 7 else None  # noqa: PLR2004  RFC 9562 §5.7
