"""Commits: a half-landed batch is completed, and a writer that was overtaken looks again before it appends."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tollmeter.etl import commit
from tollmeter.etl.commit import ATTEMPTS, land_events, land_once, until_committed
from tollmeter.etl.lake import open_tables
from tollmeter.etl.parse import Parsed
from tollmeter.etl.report import RunReport
from tollmeter.etl.rows import event_table
from tollmeter.model.errors import ConflictError, InvariantError
from tollmeter.model.events import LlmCall
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TABLE = "llm_calls"


def rows(batch_id: str, *numbers: int) -> pa.Table:
    calls = [
        LlmCall(event_id=imported_event_id("c", str(n)), timestamp=NOW, service="s", input_tokens=n) for n in numbers
    ]
    return event_table(list(map(Parsed.of, calls)), batch_id, NOW)


def tokens(table: pa.Table) -> list[int]:
    return sorted(table["input_tokens"].to_pylist())


def test_a_half_landed_batch_is_completed(home: Home) -> None:
    table = open_tables(home, "zstd")[TABLE]
    land_events(home, table, rows("other", 1), "other")
    land_events(home, table, rows("b", 2, 3), "b")
    assert tokens(land_events(home, table, rows("b", 1, 2, 3, 4), "b")) == [2, 3, 4]
    assert tokens(table.scan().to_arrow()) == [1, 2, 3, 4]


def test_an_overtaken_writer_looks_again(home: Home) -> None:
    early, late = open_tables(home, "zstd")[TABLE], open_tables(home, "zstd")[TABLE]
    land_events(home, early, rows("a", 1, 2), "a")
    assert tokens(land_events(home, late, rows("b", 2, 3), "b")) == [3]
    late.refresh()
    assert tokens(late.scan().to_arrow()) == [1, 2, 3]


def test_what_is_marked_with_the_batch_is_not_appended_again(home: Home) -> None:
    tables = [open_tables(home, "zstd")[TABLE] for _ in range(2)]
    for table in tables:
        land_once(table, rows("b", 1), "b")
    assert tokens(tables[1].scan().to_arrow()) == [1]


def test_endless_conflicts_end_with_an_error_that_names_the_table(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.exceptions import CommitFailedException

    monkeypatch.setattr(commit, "_LONGEST_PAUSE_S", 0.01)
    table = open_tables(home, "zstd")[TABLE]
    attempts: list[int] = []

    def lose() -> pa.Table:
        attempts.append(1)
        raise CommitFailedException("branch main has changed")

    with pytest.raises(ConflictError, match=r"llm_calls.*branch main has changed"):
        until_committed(table, lose)
    assert len(attempts) == ATTEMPTS


def test_a_report_that_does_not_add_up_is_an_error() -> None:
    RunReport(lines=3, landed=1, duplicates=1, quarantined=1).check()
    with pytest.raises(InvariantError, match="3 ≠ 1 \\+ 1 \\+ 0"):
        RunReport(lines=3, landed=1, duplicates=1).check()
