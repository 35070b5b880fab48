"""What a run means to do, written down before it does it, so that a run after a crash finishes the same batch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollmeter.etl.discover import RawObject, sha256_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

MAX_OBJECTS: Final = 2000
MAX_EXPANDED_BYTES: Final = 1 << 30
"""A batch ends at this many objects or decompressed bytes: the most that a crash can make a run do again."""


PART_LINES: Final = 100_000
PART_BYTES: Final = 128 << 20
"""A batch is committed in parts of at most about this many lines and bytes of lines: what is held in memory."""


class Planned(msgspec.Struct, frozen=True):
    """One object of a plan: its key and the digest of its content."""

    key: str
    sha256: str


class Plan(msgspec.Struct, frozen=True):
    """One batch: which objects, under which id, as of when (UTC), cut into parts of what size."""

    batch_id: str
    planned_at: datetime
    objects: list[Planned]
    part_lines: int
    part_bytes: int


class Ledger:
    """The objects that have been ingested, by key and by content."""

    def __init__(self, table: Table | None) -> None:
        rows = table.scan(selected_fields=("object_key", "sha256")).to_arrow().to_pydict() if table else {}
        self.keys: set[str] = set(rows.get("object_key", ()))
        self.digests: set[str] = set(rows.get("sha256", ()))

    def pending(self, objects: Iterable[RawObject]) -> list[RawObject]:
        """The objects whose key it does not hold."""
        return [found for found in objects if found.key not in self.keys]


def plans(pending: Iterable[RawObject], digests: Collection[str], now: datetime) -> Iterator[Plan]:
    """Batches of objects, oldest first; one whose content is known, or comes twice, is left out."""
    known, chosen, size = set(digests), list[Planned](), 0
    for found in pending:
        digest = sha256_of(found.path)
        if digest in known:
            continue
        if chosen and (size + found.expanded > MAX_EXPANDED_BYTES or len(chosen) >= MAX_OBJECTS):
            yield _plan(chosen, now)
            chosen, size = [], 0
        known.add(digest)
        chosen.append(Planned(found.key, digest))
        size += found.expanded
    if chosen:
        yield _plan(chosen, now)


class Memory:
    """What is remembered between runs, in `<home>/state/etl`: the unfinished batch, and days to roll up."""

    def __init__(self, home: Home) -> None:
        self._plan = home.state / "etl" / "plan.json"
        self._days = home.state / "etl" / "rollup_days.json"
        self._plan.parent.mkdir(parents=True, exist_ok=True)

    def unfinished(self) -> Plan | None:
        """The batch that a run began and did not end."""
        return msgspec.json.decode(self._plan.read_bytes(), type=Plan) if self._plan.exists() else None

    def begin(self, plan: Plan) -> None:
        """Remember a batch before its first commit."""
        _replace(self._plan, msgspec.json.encode(plan))

    def end(self) -> None:
        """Forget the batch: its ledger rows are committed."""
        self._plan.unlink(missing_ok=True)

    def days(self) -> set[date]:
        """Days whose rollups are older than their rows."""
        return msgspec.json.decode(self._days.read_bytes(), type=set[date]) if self._days.exists() else set()

    def touch(self, days: Collection[date]) -> None:
        """Remember days before rows of them are committed."""
        known = self.days()
        if not known.issuperset(days):
            _replace(self._days, msgspec.json.encode(sorted(known.union(days))))

    def rolled_up(self) -> None:
        """Forget the days: their rollups are committed."""
        self._days.unlink(missing_ok=True)


def _plan(objects: list[Planned], now: datetime) -> Plan:
    lines = sorted(f"{planned.key}\x1f{planned.sha256}\n" for planned in objects)
    return Plan(hashlib.sha256("".join(lines).encode()).hexdigest()[:32], now, objects, PART_LINES, PART_BYTES)


def _replace(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}.new")
    hidden.write_bytes(content)
    hidden.replace(path)
