"""Rows of a part for one table: new ones land once, whatever earlier slices hold and others land meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyiceberg.table import Table

from tollmeter.etl import arrivals as arriving
from tollmeter.etl.arrivals import Arrivals
from tollmeter.etl.commit import append_files
from tollmeter.etl.judge import Judging, Piece
from tollmeter.etl.lake import open_tables
from tollmeter.etl.lines import Block
from tollmeter.etl.maintenance.vacuuming import orphans
from tollmeter.etl.slices import Desk
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TABLE = "llm_calls"


def opened(home: Home) -> Table:
    return open_tables(home, "zstd")[TABLE]


def call(number: int) -> bytes:
    moment = NOW - timedelta(days=number % 2)
    return encode(
        LlmCall(event_id=imported_event_id("a", str(number)), timestamp=moment, service="s", input_tokens=number)
    )


def brought(home: Home, table: Table, part_id: str, *slices: list[int]) -> Arrivals:
    """Calls by number, slice by slice, up to the commit."""
    arrivals, desk = Arrivals(home, table, part_id, NOW), Desk()
    for place, numbers in enumerate(slices):
        block = Block(b"".join(map(call, numbers)), len(numbers), {})
        seen = desk.judge(place, [Piece(place, "k", "s", 1, block)], Judging(NOW, Tombstones()))
        order = arrivals.sift(seen.rows[TABLE])
        arrivals.store(desk.make(place, {TABLE: order} if order else {}).get(TABLE, []))
    return arrivals


def there(table: Table) -> list[int]:
    table.refresh()
    return sorted(table.scan().to_arrow()["input_tokens"].to_pylist())


def test_a_row_of_an_earlier_slice_is_a_duplicate(home: Home) -> None:
    table = opened(home)
    arrivals = brought(home, table, "p-0", [1, 2, 3], [3, 4], [1, 4, 5])
    assert arrivals.land() == {0: 3, 1: 1, 2: 1}
    assert arrivals.duplicates == {1: 1, 2: 2}
    assert there(table) == [1, 2, 3, 4, 5]


def test_what_others_land_first_is_taken_out_of_the_files(home: Home) -> None:
    early, late = opened(home), opened(home)
    arrivals = brought(home, late, "late-0", [1, 2, 3], [4, 6], [8])
    assert brought(home, early, "early-0", [2, 4, 6, 10]).land() == {0: 4}
    assert arrivals.land() == {0: 2, 2: 1}
    assert arrivals.duplicates == {0: 1, 1: 2}
    assert there(late) == [1, 2, 3, 4, 6, 8, 10]
    assert not [found for found in orphans(late, 0.0) if found.path.endswith(".parquet")]


def test_a_part_that_another_run_landed_is_its_own(home: Home) -> None:
    early, late = opened(home), opened(home)
    arrivals = brought(home, late, "p-0", [1, 2], [3])
    assert brought(home, early, "p-0", [1, 2], [3]).land() == {0: 2, 1: 1}
    assert arrivals.land() == {0: 2, 1: 1}
    assert not arrivals.duplicates
    again = brought(home, opened(home), "p-0", [1, 2], [3])
    assert (again.land(), again.duplicates) == ({0: 2, 1: 1}, {})
    assert there(late) == [1, 2, 3]


def test_a_commit_whose_answer_was_lost_is_recognised(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table, lost = opened(home), [True]

    def commits_and_fails(*arguments: object) -> None:
        append_files(*arguments)  # type: ignore[arg-type]  # whatever is passed
        if lost:
            lost.clear()
            raise ConnectionError("closed before the answer")

    monkeypatch.setattr(arriving, "append_files", commits_and_fails)
    assert brought(home, table, "p-0", [1, 2], [3]).land() == {0: 2, 1: 1}
    assert there(table) == [1, 2, 3]
