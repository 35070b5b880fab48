"""What a run means to do, written down beside the lake before it does it: a later run, anywhere, finishes the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from tollmeter.etl.discover import RawObject
from tollmeter.model.errors import SettingError
from tollmeter.sql.places import open_place

if TYPE_CHECKING:
    from tollmeter.model.home import Home

MAX_OBJECTS: Final = 2000
MAX_EXPANDED_BYTES: Final = 2 << 30
"""A batch ends at this many objects or decompressed bytes: the most that a crash can make a run do again."""


SLICE_LINES: Final = 32_768
SLICE_BYTES: Final = 48 << 20
"""A slice ends at about this many lines or bytes: what a process holds at once, and what a file is made of."""

PART_SLICES: Final = 32
"""A batch is committed in parts of this many slices, of which the ids alone are held."""

_MEMORY_OF_A_SLICE: Final = 32  # bytes of memory that a run takes for each byte of the lines of a slice, and then some
_LEAST_BYTES: Final = 1 << 20
_LEAST_LINES: Final = 1000

PLANS: Final = "etl/plans/"


class Planned(msgspec.Struct, frozen=True):
    """One object of a plan: its key, its stored size in bytes, when it was written (UTC)."""

    key: str
    size: int
    modified: datetime


class Plan(msgspec.Struct, frozen=True):
    """One batch: which objects, under which id, as of when (UTC), in slices and parts of what size, for which shard."""

    batch_id: str
    planned_at: datetime
    objects: list[Planned]
    slice_lines: int
    slice_bytes: int
    part_slices: int
    shard: str = ""


class Shard(msgspec.Struct, frozen=True):
    """One of several runs that share the work, by object: its number from 1, and how many there are."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """A shard as text.

        Raises:
            SettingError: it is none.

        >>> Shard.parse("1/4").number
        1
        """
        number, _, of = text.partition("/")
        if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
            return cls(int(number), int(of))
        raise SettingError("shard", text, "which one of how many, such as 1/4")

    def has(self, key: str) -> bool:
        """Whether an object is this one's."""
        return crc32(key.encode()) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}" if self.of > 1 else ""


class Sizes(msgspec.Struct, frozen=True):
    """How much is held at once: lines and bytes of a slice."""

    lines: int
    bytes: int


def sizes_for(max_memory: int) -> Sizes:
    """How much is held at once where a run may take so many bytes of memory; 0 is the default."""
    if not max_memory:
        return Sizes(SLICE_LINES, SLICE_BYTES)
    share = max(_LEAST_BYTES, min(SLICE_BYTES, max_memory // _MEMORY_OF_A_SLICE))
    return Sizes(max(_LEAST_LINES, SLICE_LINES * share // SLICE_BYTES), share)


@dataclass(frozen=True, slots=True)
class Planning:
    """What batches depend on beside their objects: the moment, the shard, the sizes, and how the ledger stood.

    Two runs that plan the same objects from the same ledger share a batch; an object that is read anew is in another.
    """

    now: datetime
    shard: Shard
    sizes: Sizes
    ledger: str


def plans(pending: Iterable[RawObject], how: Planning) -> Iterator[Plan]:
    """Batches of objects, oldest first."""
    chosen, size = list[Planned](), 0
    for found in pending:
        if chosen and (size + found.expanded > MAX_EXPANDED_BYTES or len(chosen) >= MAX_OBJECTS):
            yield _plan(chosen, how)
            chosen, size = [], 0
        chosen.append(Planned(found.key, found.size, found.modified))
        size += found.expanded
    if chosen:
        yield _plan(chosen, how)


class Memory:
    """What is remembered between runs, beside the lake: batches that are not finished."""

    def __init__(self, home: Home) -> None:
        self._state = open_place(home).state()

    def unfinished(self, shard: Shard | None = None) -> list[Plan]:
        """The batches of a shard, or of all, that a run began and did not end, or is carrying out now; oldest first."""
        found = (self._state.read(name) for name in self._state.names(PLANS))
        plans = [msgspec.json.decode(content, type=Plan) for content in found if content]
        mine = (plan for plan in plans if shard is None or plan.shard == str(shard))
        return sorted(mine, key=lambda plan: plan.planned_at)

    def begin(self, plan: Plan) -> Plan:
        """Remember a batch before its first commit; where another run has begun it, that one's plan is the answer."""
        if self._state.create(_name(plan), msgspec.json.encode(plan)):
            return plan
        known = self._state.read(_name(plan))
        return msgspec.json.decode(known, type=Plan) if known else plan

    def end(self, plan: Plan) -> None:
        """Forget the batch: its ledger rows are committed."""
        self._state.delete(_name(plan))


def _name(plan: Plan) -> str:
    return f"{PLANS}{plan.batch_id}.json"


def _plan(objects: list[Planned], how: Planning) -> Plan:
    lines = sorted(f"{each.key}\x1f{each.size}\x1f{each.modified.isoformat()}\n" for each in objects)
    batch_id = hashlib.sha256("".join((how.ledger, "\n", *lines)).encode()).hexdigest()[:32]
    return Plan(batch_id, how.now, objects, how.sizes.lines, how.sizes.bytes, PART_SLICES, str(how.shard))
