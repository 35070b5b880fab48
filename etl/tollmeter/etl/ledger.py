"""What has been ingested: a row for each object of an open hour, for each hour that is closed, and for all before.

So it does not grow with history. An hour of uploads is closed when it is over for a while and all its objects have been
ingested. What comes late into it is found by listing some days back, and is a row of its own until it is closed again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.discover import RawObject, UploadHour, hour_of
from tollmeter.etl.lake import BATCH_PROPERTY
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.names import TABLE_LEDGER

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

Row = dict[str, Any]

SETTLE: Final = timedelta(hours=2)
"""How long after its end an hour may be closed."""

LOOKBACK_HOURS: Final = 72
"""How many hours before the oldest that is not closed are listed for what came late."""

_ALL: Final = "*"
HOUR: Final = timedelta(hours=1)
COUNTS: Final = ("lines", "landed", "duplicates", "quarantined", "forgotten")


class Ledger:
    """The ledger as it stands; it reads what is left of history only.

    `objects` are the rows of objects by key, `hours` those of closed hours by prefix, `before` of all before by root.
    """

    def __init__(self, table: Table | None) -> None:
        rows: list[Row] = table.scan().to_arrow().to_pylist() if table else []
        self.objects = {row["object_key"]: row for row in rows if not row["object_key"].endswith(_ALL)}
        folded = [row for row in rows if row["object_key"].endswith(_ALL)]
        self.hours = {row["object_key"][:-1]: row for row in folded if row["watermark"] is None}
        self.before = {row["object_key"][:-1]: row for row in folded if row["watermark"] is not None}

    def __len__(self) -> int:
        return len(self.objects) + len(self.hours) + len(self.before)

    def listed_from(self, root: str) -> datetime | None:
        """The first hour below a root that needs to be listed; None means all of them."""
        before = self.before.get(root)
        return before["watermark"].replace(tzinfo=UTC) - timedelta(hours=LOOKBACK_HOURS) if before else None

    def folded_at(self, root: str) -> datetime | None:
        """When the hours below a root were listed that are no longer; None where all are."""
        before = self.before.get(root)
        return before["ingested_at"].replace(tzinfo=UTC) if before else None

    def roots(self) -> list[str]:
        """What the keys of all hours begin with, of each place that was ever closed."""
        return sorted(self.before)

    def hour_roots(self) -> list[str]:
        """What the keys of all hours begin with, of each place that anything was ever read from."""
        hours = (hour_of(key) for key in (*self.objects, *self.hours))
        return sorted({*self.before, *(hour.root for hour in hours if hour)})

    def open_hours(self, now: datetime) -> list[UploadHour]:
        """The hours that are over for long enough to be closed, and have not been."""
        hours = {hour for key in self.objects if (hour := hour_of(key)) and hour.start + HOUR + SETTLE <= now}
        return sorted(hours, key=lambda hour: hour.prefix)

    def closed_hours(self, keys: Iterable[str]) -> list[str]:
        """The prefixes of those hours of some keys that are closed and still remembered one by one."""
        return sorted({hour.prefix for key in keys if (hour := hour_of(key)) and hour.prefix in self.hours})

    def is_unlisted(self, hour: UploadHour) -> bool:
        """Whether an hour lies before all that are listed."""
        since = self.listed_from(hour.root)
        return since is not None and hour.start < since

    def pending(self, found: Iterable[RawObject]) -> list[RawObject]:
        """The objects that have not been ingested, in their order.

        Of an hour that is closed, objects are told by the digest of its keys, for which all of its objects must be
        among those given. Where that cannot tell, they are pending: reading one again lands nothing.
        """
        objects = [each for each in found if each.key not in self.objects]
        late = self._late(objects)
        return [each for each in objects if (hour := hour_of(each.key)) is None or hour.prefix not in self.hours
                or each.key in late]  # fmt: skip

    def _late(self, objects: list[RawObject]) -> set[str]:
        by_hour = defaultdict[str, list[RawObject]](list)
        for each in objects:
            if (hour := hour_of(each.key)) and hour.prefix in self.hours:
                by_hour[hour.prefix].append(each)
        late = set[str]()
        for prefix, members in by_hour.items():
            closed = self.hours[prefix]
            at = closed["ingested_at"].replace(tzinfo=UTC)
            known = [each.key for each in members if each.modified <= at]
            is_known = digest_of(known) == closed["sha256"]
            late |= {each.key for each in members if not is_known or each.modified > at}
        return late

    def is_past(self, found: RawObject) -> bool:
        """Whether an object of a folder was there when its hour was folded into all before, so it has been ingested."""
        hour = hour_of(found.key)
        at = self.folded_at(hour.root) if hour else None
        return bool(hour and at and self.is_unlisted(hour) and found.modified < at)

    def rows(self) -> list[Row]:
        """All rows."""
        return [*self.objects.values(), *self.hours.values(), *self.before.values()]

    def without(self, rows: Iterable[Row]) -> list[Row]:
        """Those rows of objects that it does not hold."""
        return [row for row in rows if row["object_key"] not in self.objects]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source found at a time: its objects, and the roots whose hours it listed as far back as is needed."""

    objects: list[RawObject]
    at: datetime
    complete_roots: tuple[str, ...] = ()


def record(table: Table, rows: list[Row], batch_id: str) -> None:
    """Add the rows of objects, those that nobody has added.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        fresh = Ledger(table).without(rows)
        if fresh:
            table.append(as_table(fresh), snapshot_properties={BATCH_PROPERTY: batch_id})

    until_committed(table, attempt)


def digest_of(keys: Iterable[str]) -> str:
    """A digest of a set of keys, whatever their order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def summed(prefix: str, rows: list[Row]) -> Row:
    """The row of an hour, or of all before one, that stands for some rows; without digest and time."""
    counts = {name: sum(row[name] or 0 for row in rows) for name in COUNTS}
    return {
        "object_key": prefix + _ALL,
        "objects": sum(1 if row["objects"] is None else row["objects"] for row in rows),
        "watermark": None,
        "batch_id": "",
        **counts,
    }


def naive(moment: datetime) -> datetime:
    """A moment as the lake holds it: UTC without zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def as_table(rows: list[Row]) -> pa.Table:
    """Rows of the ledger in its schema."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLE_LEDGER))
