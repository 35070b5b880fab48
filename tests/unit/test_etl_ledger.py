"""The ledger: what is pending, however late, and how few rows it takes, whatever the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tollmeter.etl.discover import RawObject, Span, hour_of
from tollmeter.etl.folding import close_hours, expect_cuts, fold_unlisted
from tollmeter.etl.ledger import LOOKBACK_HOURS, Ledger, Listing, record
from tollmeter.etl.plan import Sizes, sizes_for

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOT = "s3://b/raw/"


class Rows:
    """A table of a catalog that has one writer: what `Ledger` reads and `close_hours` writes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def scan(self) -> SimpleNamespace:
        return SimpleNamespace(to_arrow=lambda: pa.Table.from_pylist(self.rows))

    def append(self, added: pa.Table, snapshot_properties: dict[str, str]) -> None:
        self.rows += added.to_pylist()

    def overwrite(self, all_rows: pa.Table) -> None:
        self.rows = all_rows.to_pylist()


@pytest.fixture
def table() -> Any:
    return Rows()


def key(hour: int, number: int | str, root: str = ROOT) -> str:
    return f"{root}dt={START + hour * HOUR:%Y-%m-%d}/hour={(START + hour * HOUR):%H}/{number}.jsonl.zst"


def uploaded(hour: int, number: int | str, after: timedelta = timedelta(minutes=10)) -> RawObject:
    return RawObject(key(hour, number), 100, START + hour * HOUR + after)


def ingest(table: Any, found: Iterable[RawObject], at: datetime) -> list[str]:
    """A run: what is pending is recorded, and hours are closed."""
    listing = Listing(sorted(found, key=lambda each: each.key), at, (ROOT,))
    pending = [each.key for each in Ledger(table).pending(listing.objects)]
    counts = {"lines": 10, "landed": 9, "duplicates": 0, "quarantined": 1, "forgotten": 0}
    stamp = {"sha256": "x", "objects": 1, "watermark": None, "ingested_at": at.replace(tzinfo=None), "batch_id": "b"}
    record(table, [{"object_key": name, **counts, **stamp} for name in pending], "b")
    close_hours(table, listing, at)
    return pending


def visible(objects: list[RawObject], ledger: Ledger, now: datetime) -> Iterator[RawObject]:
    since = ledger.listed_from(ROOT)
    return (each for each in objects if each.modified <= now and Span(since).holds(each.key))


def test_a_thousand_hours_take_no_more_rows_than_a_hundred(table: Any) -> None:
    objects, recent, sizes, read = list[RawObject](), list[RawObject](), list[int](), list[str]()
    for hour in range(1000):
        objects += [uploaded(hour, number) for number in range(2)]
        if hour % 7 == 0 and hour > 10:  # uploaded two days late into an hour that is closed
            objects.append(RawObject(key(hour - 10, f"late-{hour}"), 100, START + hour * HOUR + HOUR / 2))
        now = START + (hour + 1) * HOUR
        recent = list(visible(objects[-300:], Ledger(table), now))  # as much as is ever listed
        read += ingest(table, recent, now)
        sizes.append(len(table.rows))
    assert sorted(read) == sorted(each.key for each in objects)
    assert max(sizes[500:]) <= max(sizes[100:200]) <= LOOKBACK_HOURS + 20
    assert sum(row["objects"] for row in table.rows) == len(objects)
    assert sum(row["lines"] for row in table.rows) == 10 * len(objects)


def test_an_hour_is_closed_once_it_is_over_for_a_while(table: Any) -> None:
    found = [uploaded(0, 1), uploaded(0, 2)]
    ingest(table, found, START + HOUR)
    assert sorted(row["object_key"] for row in table.rows if row["watermark"] is None) == [key(0, 1), key(0, 2)]
    assert ingest(table, found, START + 4 * HOUR) == []
    (closed,) = (row for row in table.rows if row["watermark"] is None)
    assert (closed["object_key"], closed["objects"], closed["lines"]) == (f"{ROOT}dt=2026-01-01/hour=00/*", 2, 20)
    assert ingest(table, found, START + 5 * HOUR) == []


def test_what_cannot_be_told_is_read_again(table: Any) -> None:
    found = [uploaded(0, 1), uploaded(0, 2)]
    ingest(table, found, START + 4 * HOUR)
    assert ingest(table, found[:1], START + 5 * HOUR) == [key(0, 1)]  # the other was deleted
    assert ingest(table, found[:1], START + 6 * HOUR) == []
    early = uploaded(0, 3)  # appeared without being newer, as a copy that keeps its time does
    assert ingest(table, [found[0], early], START + 7 * HOUR) == [key(0, 1), key(0, 3)]


def test_what_is_written_anew_or_deleted_is_not_read_again(table: Any) -> None:
    now = START + 4 * HOUR
    kept, anew, gone = (uploaded(0, number) for number in range(3))
    alone, open_gone = uploaded(1, "alone"), uploaded(3, "open")
    ingest(table, [kept, anew, gone, alone, open_gone], now)
    late = uploaded(0, "late", 5 * HOUR)
    changed = {"rewritten": {anew.key}, "deleted": {gone.key, alone.key, open_gone.key}}
    expect_cuts(table, [kept, anew, gone, alone, open_gone, late], **changed)
    rewritten = RawObject(anew.key, 50, now + HOUR)
    left = [kept, rewritten, late]
    assert Ledger(table).pending(left) == [late]
    assert Ledger(table).pending([kept, anew, late]) == [late]  # it has not happened yet
    assert Ledger(table).pending([RawObject(alone.key, 9, now + HOUR)])  # a new object under an old key
    assert sum(row["lines"] for row in table.rows) == 50
    assert ingest(table, left, now + 2 * HOUR) == [late.key]
    newer = uploaded(199, 1)
    assert ingest(table, [*left, newer], now + 200 * HOUR) == [newer.key]
    assert {row["object_key"]: row["lines"] for row in table.rows} == {
        f"{ROOT}*": 60,
        key(199, "*").split("*")[0] + "*": 10,
    }


def test_an_object_of_an_hour_that_is_no_longer_listed_is_folded_at_once(table: Any) -> None:
    ingest(table, [uploaded(0, 1), uploaded(200, 1)], START + 204 * HOUR)
    again = [{**table.rows[0], "object_key": uploaded(0, 1).key, "objects": 1, "watermark": None, "lines": 10}]
    record(table, again, "b")
    fold_unlisted(table)
    assert not Ledger(table).objects
    assert sum(row["lines"] for row in table.rows) == 30
    folded = len(table.rows)
    fold_unlisted(table)
    assert len(table.rows) == folded


def test_objects_that_tell_no_hour_are_remembered_one_by_one(table: Any) -> None:
    found = [RawObject("a.jsonl", 1, START), RawObject("dt=2026-13-01/hour=07/a", 1, START)]
    assert ingest(table, found, START + 90 * HOUR) == ["a.jsonl", "dt=2026-13-01/hour=07/a"]
    assert ingest(table, found, START + 900 * HOUR) == []


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("dt=2026-01-01/hour=05/a", ""),
        ("s3://b/raw/111122223333/dt=2026-01-01/hour=05/a", "s3://b/raw/111122223333/"),
        ("s3://b/firehose/2026/01/01/05/a-1-2026-01-01-05-00-00-uuid", "s3://b/firehose/"),
    ],
)
def test_hours_of_both_layouts(name: str, root: str) -> None:
    hour = hour_of(name)
    assert hour is not None
    assert (hour.root, hour.start) == (root, START + 5 * HOUR)
    assert name.startswith(hour.prefix)
    assert Span(START + 5 * HOUR, START + 6 * HOUR).holds(name)
    assert not Span(START + 6 * HOUR).holds(name)
    assert not Span(None, START + 5 * HOUR).holds(name)


def test_less_memory_makes_smaller_slices() -> None:
    assert sizes_for(0) == sizes_for(8 << 30) == Sizes(32_768, 48 << 20)
    assert sizes_for(384 << 20) == Sizes(8192, 12 << 20)
    assert sizes_for(1) == Sizes(1000, 1 << 20)
