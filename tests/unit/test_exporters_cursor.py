"""What the forwarder remembers between runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tollmeter.exporters.cursor import Cursors


@contextmanager
def reopened(path: Path) -> Iterator[Cursors]:
    cursors = Cursors(path)
    try:
        yield cursors
    finally:
        cursors.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cursors.sqlite"


def test_a_position_and_its_counts_survive_together(path: Path) -> None:
    with reopened(path) as cursors:
        assert cursors.offset("raw", "s1") == 0
        cursors.settle("raw", "s1", 120, {"produced": 3, "acknowledged": 3})
        cursors.settle("raw", "s1", 200, {"produced": 2, "acknowledged": 2, "dropped": 0})
    with reopened(path) as cursors:
        assert cursors.offset("raw", "s1") == 200
        assert cursors.offset("stdout", "s1") == 0
        assert cursors.totals() == {"raw.produced": 5, "raw.acknowledged": 5}


def test_a_batch_under_way_when_the_process_died_is_passed_as_in_doubt(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.settle("stdout", "s1", 50, {"produced": 1, "acknowledged": 1})
        cursors.begin("stdout", "s1", 300, 7)
    with reopened(path) as cursors:
        assert cursors.offset("stdout", "s1") == 300
        assert cursors.totals() == {"stdout.produced": 8, "stdout.acknowledged": 1, "stdout.in_doubt": 7}
    with reopened(path) as cursors:
        assert cursors.totals()["stdout.in_doubt"] == 7


def test_a_batch_that_was_not_taken_is_neither_counted_nor_passed(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.begin("stdout", "s1", 300, 7)
        cursors.abandon("stdout")
    with reopened(path) as cursors:
        assert cursors.offset("stdout", "s1") == 0
        assert cursors.totals() == {}


def test_a_batch_whose_settling_failed_is_in_doubt_in_the_same_process(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.begin("stdout", "s1", 300, 7)
        cursors.recover("stdout")
        assert cursors.offset("stdout", "s1") == 300
        assert cursors.totals() == {"stdout.produced": 7, "stdout.in_doubt": 7}


def test_an_intent_survives_until_its_segment_is_forgotten(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.intend("raw", "s1", "dt=2026-01-01/hour=23/s1.jsonl.zst")
        cursors.settle("raw", "s2", 9, {"produced": 1})
    with reopened(path) as cursors:
        assert cursors.intent("raw", "s1") == "dt=2026-01-01/hour=23/s1.jsonl.zst"
        assert cursors.known() == {"s1", "s2"}
        cursors.forget(["s1"])
    with reopened(path) as cursors:
        assert cursors.intent("raw", "s1") is None
        assert cursors.known() == {"s2"}
        assert cursors.totals() == {"raw.produced": 1}


def test_counts_are_reported_once(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.add({"torn_lines": 2})
        cursors.mark_reported(cursors.unreported())
        assert cursors.unreported() == {}
        cursors.add({"torn_lines": 1})
    with reopened(path) as cursors:
        assert cursors.unreported() == {"torn_lines": 1}


def test_a_failed_step_changes_nothing(path: Path) -> None:
    with reopened(path) as cursors:
        with pytest.raises(sqlite3.Error):
            cursors.settle("raw", "s1", None, {"produced": 1})  # type: ignore[arg-type]
        assert cursors.offset("raw", "s1") == 0
        assert cursors.totals() == {}


def test_a_damaged_file_is_set_aside(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database, and long enough to be read as one" * 100)
    with reopened(path) as cursors:
        assert cursors.known() == set()
    assert len(list(path.parent.glob("cursors.damaged-*"))) == 1


def test_lines_held_when_the_process_died_are_in_doubt(path: Path) -> None:
    with reopened(path) as cursors:
        cursors.settle("xray", "s1", 50, {"produced": 4, "acknowledged": 1}, held=3)
        cursors.release("xray", -1, {"acknowledged": 1})
        assert cursors.held() == {"xray": 2}
    with reopened(path) as cursors:
        assert cursors.held() == {}
        assert cursors.totals() == {"xray.produced": 4, "xray.acknowledged": 2, "xray.in_doubt": 2}
