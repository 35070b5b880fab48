"""Runs of `tollmeter etl reprice` beside others: locks, conflicts, an unfinished one, and the command."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from repricing_lake import LIST, OVERLAY, USD, call, costs, doubled, land, request, run, snapshots, table
from typer.testing import CliRunner

from tollmeter.cli.app import app
from tollmeter.etl import commit, datafiles, rewrite
from tollmeter.etl.commit import ATTEMPTS
from tollmeter.etl.lake import existing_tables
from tollmeter.model.errors import ConflictError, InvariantError, LockedError
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id


def test_only_one_run_at_a_time_but_a_dry_one_may_look(home: Home) -> None:
    land(home, [call(0)])
    with (home.state / "etl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match=r"etl\.lock"):
            run(home, doubled())
        assert run(home, doubled(), dry_run=True).calls == 1


def test_a_home_without_a_lake(home: Home) -> None:
    assert run(home, doubled(), dry_run=True).calls == 0
    assert not home.path.exists()
    assert run(home, doubled()).calls == 0


def test_an_overtaken_writer_looks_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    land(home, [call(0), request(0)])
    write = datafiles.write_files
    overtaken: list[int] = []

    def overtake(found: Any, *rest: Any) -> Any:
        if found.name()[-1] == "llm_calls" and not overtaken:
            overtaken.append(1)
            others = existing_tables(home)["llm_calls"]
            twin = others.scan().to_arrow()
            others.append(twin.set_column(0, twin.schema.field(0), pa.array([new_event_id()])))
        return write(found, *rest)

    monkeypatch.setattr(rewrite, "write_files", overtake)
    report = run(home, doubled())
    assert sorted(table(home, "llm_calls")["cost_usd"].to_pylist()) == [USD("0.0026"), USD("0.0052")]
    assert (report.rows_before, report.rows_after) == (3, 3)


def test_endless_conflicts_end_and_the_next_run_finishes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.exceptions import CommitFailedException

    monkeypatch.setattr(commit, "_LONGEST_PAUSE_S", 0.01)
    land(home, [call(0), request(0)])
    attempts: list[int] = []

    def lose(*_: object) -> None:
        attempts.append(1)
        raise CommitFailedException("branch main has changed")

    with monkeypatch.context() as patched:
        patched.setattr(rewrite, "_replace", lose)
        with pytest.raises(ConflictError, match="requests"):
            run(home, doubled())
    assert len(attempts) == ATTEMPTS
    assert run(home, doubled()).calls == 0
    assert costs(home) == costs(home, "requests") == {"r0": USD("0.0052")}


def test_an_unfinished_run_is_finished_with_its_own_prices_before_another_begins(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(home, [call(0), request(0)])
    replace = rewrite._replace

    def die_at_calls(folder: Home, found: Any, wanted: Any) -> None:
        if found.name()[-1] == "llm_calls":
            raise MemoryError
        replace(folder, found, wanted)

    with monkeypatch.context() as patched:
        patched.setattr(rewrite, "_replace", die_at_calls)
        with pytest.raises(MemoryError):
            run(home, doubled())
    assert costs(home, "requests") == {"r0": USD("0.0052")}
    report = run(home, LIST)
    assert (report.calls, report.requests) == (1, 1)
    assert costs(home) == costs(home, "requests") == {"r0": USD("0.0026")}
    assert sum(row["component"] == "reprice" for row in table(home, "runs").to_pylist()) == 2


def test_a_column_that_changed_is_found_before_the_commit(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    land(home, [call(0), call(1)])
    before, write = snapshots(home), datafiles.write_files

    def damage(found: Any, partition: Any, rows: pa.RecordBatchReader, most: int) -> Any:
        whole = rows.read_all()
        at = whole.column_names.index("tenant_id")
        whole = whole.set_column(at, "tenant_id", pa.array(["x"] * len(whole)))
        return write(found, partition, whole.to_reader(), most)

    monkeypatch.setattr(rewrite, "write_files", damage)
    with pytest.raises(InvariantError, match=r"before \(2, .* after \(2, "):
        run(home, doubled())
    assert snapshots(home) == before


def test_columns_of_a_later_version_survive(home: Home) -> None:
    land(home, [call(0)])
    found = existing_tables(home)["llm_calls"]
    with found.update_schema() as schema:
        schema.union_by_name(pa.schema([pa.field("from_the_future", pa.string())]))
    rows = found.scan().to_arrow()
    at = rows.column_names.index("from_the_future")
    found.overwrite(rows.set_column(at, "from_the_future", pa.array(["kept"])))
    run(home, doubled())
    assert table(home, "llm_calls")["from_the_future"].to_pylist() == ["kept"]
    assert costs(home) == {"r0": USD("0.0052")}


def test_the_command(home: Home, tmp_path: Path) -> None:
    land(home, [call(0), call(60), request(0), request(60)])
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(OVERLAY)
    invoke, given = CliRunner().invoke, ["--since", "2026-11-01", "--home", str(home.path), "--overlay", str(overlay)]
    dry = invoke(app, ["etl", "reprice", "--dry-run", "--json", *given])
    assert dry.exit_code == 1
    document = json.loads(dry.stdout)
    assert (document["difference_usd"], document["calls"]) == ("-0.001580000000", 1)
    assert document["changes"][0] == {
        "day": "2026-11-02",
        "provider": "openai",
        "model": "gpt-4o",
        "calls": 1,
        "old_cost_usd": "0.002600000000",
        "new_cost_usd": "0.001020000000",
        "difference_usd": "-0.001580000000",
        "status_changes": {},
    }
    done = invoke(app, ["etl", "reprice", *given])
    assert done.exit_code == 0
    assert "1 calls of 1 days changed under genai-prices 0.2.3 and acme.yaml" in done.stdout
    assert "rows before = rows after: 2 = 2; every column but money is as it was" in done.stdout
    again = invoke(app, ["etl", "reprice", "--dry-run", *given])
    assert (again.exit_code, "0 calls of 0 days would change" in again.stdout) == (0, True)
    assert invoke(app, ["etl", "reprice", "--since", "yesterday"]).exception is not None
