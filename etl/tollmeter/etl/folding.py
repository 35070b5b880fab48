"""Rows of the ledger folded, so that it does not grow: objects into their hours, hours into all before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.discover import RawObject, back, floor_hour, hour_of
from tollmeter.etl.ledger import (
    COUNTS,
    HOUR,
    LOOKBACK_HOURS,
    SETTLE,
    Ledger,
    Listing,
    Row,
    as_table,
    digest_of,
    naive,
    summed,
)
from tollmeter.model.events import utc_now

if TYPE_CHECKING:
    from pyiceberg.table import Table

_BUCKET: Final = "s3://"


def close_hours(table: Table, listing: Listing, now: datetime) -> None:
    """Fold what can be: objects into their hours, hours that are no longer listed into all before.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        rows = Folding(table, listing, now).rows()
        if rows is not None:
            table.overwrite(as_table(rows))

    until_committed(table, attempt)


def fold_unlisted(table: Table) -> None:
    """Fold objects in buckets whose hours are no longer listed into all before: nobody would fold them ever after.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        ledger = Ledger(table)
        objects, before = dict(ledger.objects), dict(ledger.before)
        for key, hour in [(key, hour_of(key)) for key in ledger.objects if key.startswith(_BUCKET)]:
            if hour and ledger.is_unlisted(hour):
                known = before[hour.root]
                kept = {name: known[name] for name in ("watermark", "ingested_at", "sha256")}
                before[hour.root] = summed(hour.root, [known, objects.pop(key)]) | kept
        if len(objects) < len(ledger.objects):
            table.overwrite(as_table([*objects.values(), *ledger.hours.values(), *before.values()]))

    until_committed(table, attempt)


def expect_cuts(table: Table, found: Sequence[RawObject], rewritten: Collection[str], deleted: Collection[str]) -> None:
    """Note, before it happens, that some of the objects found are to be written anew or deleted: none is read again.

    A closed hour is known by the digest of its keys and by the time of its newest object. So what is written anew gets
    a row of its own until its hour is closed again, and what is deleted is left out of the digest. Where it does not
    happen after all, an hour may be read once more, and lands nothing.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        before, after = Ledger(table), Ledger(table)
        pending = {each.key for each in before.pending(found)}
        by_hour = defaultdict[str, list[str]](list)
        for key in (each.key for each in found if each.key not in pending):
            if hour := hour_of(key):
                by_hour[hour.prefix].append(key)
        for prefix, keys in by_hour.items():
            _expect(after, prefix, set(keys), set(rewritten), set(deleted))
        if (after.objects, after.hours) != (before.objects, before.hours):
            table.overwrite(as_table(after.rows()))

    until_committed(table, attempt)


def _expect(ledger: Ledger, prefix: str, ingested: set[str], rewritten: set[str], deleted: set[str]) -> None:
    """Change the rows of one hour and of its objects, whose keys are given, those alone that have been ingested."""
    now, closed = naive(utc_now()), ledger.hours.get(prefix)
    gone = [ledger.objects.pop(key) for key in sorted(ingested & deleted) if key in ledger.objects]
    if gone or (closed and ingested & (rewritten | deleted)):
        told = ingested - rewritten - deleted - set(ledger.objects)
        rows, at = [*([closed] if closed else []), *gone], closed["ingested_at"] if closed else now
        ledger.hours[prefix] = summed(prefix, rows) | {"sha256": digest_of(told), "ingested_at": at}
    if closed:
        nothing = dict.fromkeys(("objects", *COUNTS), 0)
        for key in sorted((ingested & rewritten) - set(ledger.objects)):
            stamp = {"object_key": key, "sha256": "", "watermark": None, "ingested_at": now, "batch_id": ""}
            ledger.objects[key] = nothing | stamp


class Folding:
    """The ledger's rows, and what becomes of them."""

    def __init__(self, table: Table, listing: Listing, now: datetime) -> None:
        self._ledger, self._listing, self._now = Ledger(table), listing, now
        self._pending = {each.key for each in self._ledger.pending(listing.objects)}

    def rows(self) -> list[Row] | None:
        """All rows of the ledger after folding; None where nothing changes."""
        ledger = self._ledger
        objects, hours, before = dict(ledger.objects), dict(ledger.hours), dict(ledger.before)
        for prefix, members in self._closable().items():
            mine = [objects.pop(key) for key in list(objects) if key.startswith(prefix)]
            if not mine:
                continue
            known = [hours[prefix]] if prefix in hours else []
            hours[prefix] = summed(prefix, [*known, *mine]) | {
                "sha256": digest_of(members), "objects": len(members), "ingested_at": naive(self._listing.at),
            }  # fmt: skip
        for root in self._listing.complete_roots:
            watermark = self._watermark(root, objects)
            earlier = before.get(root)
            if earlier and watermark <= earlier["watermark"]:
                continue
            edge = back(watermark.replace(tzinfo=UTC), LOOKBACK_HOURS)
            old = [prefix for prefix in hours if _is_before(prefix, root, edge)]
            folded = [hours.pop(prefix) for prefix in old]
            before[root] = summed(root, [*([earlier] if earlier else []), *folded]) | {
                "watermark": watermark, "ingested_at": naive(self._listing.at), "sha256": "",
            }  # fmt: skip
        if (objects, hours, before) == (ledger.objects, ledger.hours, ledger.before):
            return None
        return [*objects.values(), *hours.values(), *before.values()]

    def _closable(self) -> dict[str, list[str]]:
        """Keys by hour, of the hours that are over and wholly ingested."""
        by_hour = defaultdict[str, list[str]](list)
        waiting = set[str]()
        for each in self._listing.objects:
            hour = hour_of(each.key)
            if hour is None or hour.start + HOUR + SETTLE > self._now:
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
        return naive(min([floor_hour(self._now - SETTLE) - HOUR, newest + HOUR, *starts]))


def _is_before(prefix: str, root: str, edge: datetime) -> bool:
    hour = hour_of(prefix)
    return hour is not None and hour.root == root and hour.start < edge
