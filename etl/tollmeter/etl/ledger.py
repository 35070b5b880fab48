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
from tollmeter.etl.discover import RawObject, back, floor_hour, hour_of
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
_HOUR: Final = timedelta(hours=1)
_COUNTS: Final = ("lines", "landed", "duplicates", "quarantined", "forgotten")


class Ledger:
    """The ledger as it stands; it reads what is left of history only."""

    def __init__(self, table: Table | None) -> None:
        rows: list[Row] = table.scan().to_arrow().to_pylist() if table else []
        self._objects = {row["object_key"]: row for row in rows if not row["object_key"].endswith(_ALL)}
        folded = [row for row in rows if row["object_key"].endswith(_ALL)]
        self._hours = {row["object_key"][:-1]: row for row in folded if row["watermark"] is None}
        self._before = {row["object_key"][:-1]: row for row in folded if row["watermark"] is not None}

    def __len__(self) -> int:
        return len(self._objects) + len(self._hours) + len(self._before)

    def listed_from(self, root: str) -> datetime | None:
        """The first hour below a root that needs to be listed; None means all of them."""
        before = self._before.get(root)
        return before["watermark"].replace(tzinfo=UTC) - timedelta(hours=LOOKBACK_HOURS) if before else None

    def folded_at(self, root: str) -> datetime | None:
        """When the hours below a root were listed that are no longer; None where all are."""
        before = self._before.get(root)
        return before["ingested_at"].replace(tzinfo=UTC) if before else None

    def roots(self) -> list[str]:
        """What the keys of all hours begin with, of each place that was ever closed."""
        return sorted(self._before)

    def open_hours(self, now: datetime) -> list[str]:
        """The hours, as prefixes of keys, that are over for long enough to be closed, and have not been."""
        return sorted(
            {hour.prefix for key in self._objects if (hour := hour_of(key)) and hour.start + _HOUR + SETTLE <= now}
        )

    def pending(self, found: Iterable[RawObject], *, whole_hours: bool = True) -> list[RawObject]:
        """The objects that have not been ingested, in their order.

        Of an hour that is closed, objects are told by the digest of its keys, for which all of its objects must be
        among those given (`whole_hours`). Where that cannot tell, they are pending: reading one again lands nothing.
        """
        objects = [each for each in found if each.key not in self._objects]
        late = self._late(objects) if whole_hours else {each.key for each in objects}
        return [each for each in objects if (hour := hour_of(each.key)) is None or hour.prefix not in self._hours
                or each.key in late]  # fmt: skip

    def _late(self, objects: list[RawObject]) -> set[str]:
        by_hour = defaultdict[str, list[RawObject]](list)
        for each in objects:
            if (hour := hour_of(each.key)) and hour.prefix in self._hours:
                by_hour[hour.prefix].append(each)
        late = set[str]()
        for prefix, members in by_hour.items():
            closed = self._hours[prefix]
            at = closed["ingested_at"].replace(tzinfo=UTC)
            known = [each.key for each in members if each.modified <= at]
            is_known = digest_of(known) == closed["sha256"]
            late |= {each.key for each in members if not is_known or each.modified > at}
        return late

    def is_past(self, found: RawObject) -> bool:
        """Whether an object of a folder was there when its hour was folded into all before, so it has been ingested."""
        hour = hour_of(found.key)
        since = self.listed_from(hour.root) if hour else None
        at = self.folded_at(hour.root) if hour else None
        return bool(hour and since and at and hour.start < since and found.modified < at)

    def without(self, rows: Iterable[Row]) -> list[Row]:
        """Those rows of objects that it does not hold."""
        return [row for row in rows if row["object_key"] not in self._objects]


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
            table.append(_arrow(fresh), snapshot_properties={BATCH_PROPERTY: batch_id})

    until_committed(table, attempt)


def close_hours(table: Table, listing: Listing, now: datetime) -> None:
    """Fold what can be: objects into their hours, hours that are no longer listed into all before.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        rows = Folding(table, listing, now).rows()
        if rows is not None:
            table.overwrite(_arrow(rows))

    until_committed(table, attempt)


class Folding:
    """The ledger's rows, and what becomes of them."""

    def __init__(self, table: Table, listing: Listing, now: datetime) -> None:
        self._ledger, self._listing, self._now = Ledger(table), listing, now
        self._pending = {each.key for each in self._ledger.pending(listing.objects)}

    def rows(self) -> list[Row] | None:
        """All rows of the ledger after folding; None where nothing changes."""
        ledger = self._ledger
        objects, hours, before = dict(ledger._objects), dict(ledger._hours), dict(ledger._before)  # noqa: SLF001 - its other half
        for prefix, members in self._closable().items():
            mine = [objects.pop(key) for key in list(objects) if key.startswith(prefix)]
            if not mine:
                continue
            known = [hours[prefix]] if prefix in hours else []
            hours[prefix] = _sum(prefix, [*known, *mine]) | {
                "sha256": digest_of(members), "objects": len(members), "ingested_at": _naive(self._listing.at),
            }  # fmt: skip
        for root in self._listing.complete_roots:
            watermark = self._watermark(root, objects)
            earlier = before.get(root)
            if earlier and watermark <= earlier["watermark"]:
                continue
            edge = back(watermark.replace(tzinfo=UTC), LOOKBACK_HOURS)
            old = [prefix for prefix in hours if _is_before(prefix, root, edge)]
            folded = [hours.pop(prefix) for prefix in old]
            before[root] = _sum(root, [*([earlier] if earlier else []), *folded]) | {
                "watermark": watermark, "ingested_at": _naive(self._listing.at), "sha256": "",
            }  # fmt: skip
        if (objects, hours, before) == (ledger._objects, ledger._hours, ledger._before):  # noqa: SLF001
            return None
        return [*objects.values(), *hours.values(), *before.values()]

    def _closable(self) -> dict[str, list[str]]:
        """Keys by hour, of the hours that are over and wholly ingested."""
        by_hour = defaultdict[str, list[str]](list)
        waiting = set[str]()
        for each in self._listing.objects:
            hour = hour_of(each.key)
            if hour is None or hour.start + _HOUR + SETTLE > self._now:
                continue
            by_hour[hour.prefix].append(each.key)
            if each.key in self._pending:
                waiting.add(hour.prefix)
        return {prefix: keys for prefix, keys in by_hour.items() if prefix not in waiting}

    def _watermark(self, root: str, objects: dict[str, Row]) -> datetime:
        """The first hour below a root that may still get objects, or has some that are not folded or not ingested."""
        open_keys = {*objects, *self._pending}
        starts = [hour.start for key in open_keys if (hour := hour_of(key)) and hour.root == root]
        listed = (hour_of(each.key) for each in self._listing.objects)
        newest = max((hour.start for hour in listed if hour and hour.root == root), default=self._now)
        return _naive(min([floor_hour(self._now - SETTLE) - _HOUR, newest + _HOUR, *starts]))


def digest_of(keys: Iterable[str]) -> str:
    """A digest of a set of keys, whatever their order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _is_before(prefix: str, root: str, edge: datetime) -> bool:
    hour = hour_of(prefix)
    return hour is not None and hour.root == root and hour.start < edge


def _sum(prefix: str, rows: list[Row]) -> Row:
    counts = {name: sum(row[name] or 0 for row in rows) for name in _COUNTS}
    return {
        "object_key": prefix + _ALL,
        "objects": sum(1 if row["objects"] is None else row["objects"] for row in rows),
        "watermark": None,
        "batch_id": "",
        **counts,
    }


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _arrow(rows: list[Row]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLE_LEDGER))
