"""Forgetting: one user's or tenant's rows are gone from everything, the others' are as they were, and it is proven."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tollmeter import etl
from tollmeter.cli.app import app
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.plan import Plan
from tollmeter.model.errors import DataError, UsageError
from tollmeter.model.events import Evaluation, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings

DAY = datetime(2026, 11, 1, 10, tzinfo=UTC)
ANN = Subject("user_id", "ann-4711")
TABLES = ("requests", "llm_calls", "evaluations", "quarantine")
SETTINGS = Settings.load({})


def identity(kind: str, n: int, days: int = 0) -> dict[str, Any]:
    return {"event_id": imported_event_id(kind, str(n)), "timestamp": DAY + timedelta(days=days), "service": "s"}


def call(n: int, user: str = "", days: int = 0, **fields: Any) -> bytes:
    return encode(LlmCall(**identity("call", n, days), user_id=user, input_tokens=n, **fields))


def request(n: int, user: str, days: int = 0, **fields: Any) -> bytes:
    return encode(Request(**identity("request", n, days), user_id=user, request_id=f"r{n}", **fields))


def evaluation(n: int, of: int) -> bytes:
    return encode(Evaluation(**identity("eval", n), call_id=imported_event_id("call", str(of)), name="x", score=1.0))


def put(home: Home, name: str, *lines: bytes) -> Path:
    home.raw.mkdir(parents=True, exist_ok=True)
    path, data = home.raw / name, b"".join(lines)
    codec = {".zst": "zstd", ".gz": "gzip"}.get(path.suffix)
    path.write_bytes(pa.compress(data, codec, asbytes=True) if codec == "zstd" else data)
    if codec == "gzip":
        with pa.CompressedOutputStream(str(path), "gzip") as sink:
            sink.write(data)
    return path


@pytest.fixture
def filled(home: Home) -> Home:
    """Two users over three days, of whom one has a day alone; links, broken lines, and three kinds of object."""
    put(home, "a.jsonl", request(1, ANN.value), call(1, request_id="r1"), evaluation(1, of=1), request(2, "bob"))
    put(
        home,
        "b.jsonl.zst",
        call(2, "bob", request_id="r2"),
        evaluation(2, of=2),
        b'{"kind":"llm_call","user_id":"ann-4711","input_tokens":-1}\n',
        b"broken by bob\n",
        call(3, ANN.value, days=1),
        call(4, ANN.value + "-the-second", days=1),
    )
    put(home, "c.jsonl.gz", call(5, ANN.value, days=2, tenant_id="acme"), request(5, ANN.value, days=2))
    etl.run(home, settings=SETTINGS)
    return home


def table(home: Home, name: str) -> list[dict[str, Any]]:
    return sorted(existing_tables(home)[name].scan().to_arrow().to_pylist(), key=repr)


def others(home: Home) -> dict[str, list[dict[str, Any]]]:
    mine = {imported_event_id("call", "1"), imported_event_id("eval", "1")}
    return {
        name: [
            row
            for row in table(home, name)
            if row.get("user_id") != ANN.value
            and row.get("event_id") not in mine
            and "4711" not in str(row.get("raw_text"))
        ]
        for name in TABLES
    }


def test_a_user_is_gone_from_everything_and_stays_out(filled: Home) -> None:
    kept = others(filled)
    planned = etl.forget(filled, ANN, dry_run=True, settings=SETTINGS)
    assert len(table(filled, "llm_calls")) == 5
    report = etl.forget(filled, ANN, settings=SETTINGS)
    rows = {"evaluations": 1, "llm_calls": 3, "requests": 2, "quarantine": 1, "rollup_sessions_daily": 4}
    assert report.rows == planned.rows == rows
    assert (report.raw_objects, report.raw_lines) == (planned.raw_objects, planned.raw_lines) == (3, 5)
    assert report.days == planned.days == [(DAY + timedelta(days=days)).date() for days in range(3)]
    assert report.is_gone, report.found
    assert {name: table(filled, name) for name in TABLES} == kept
    assert sum(row["calls"] for row in table(filled, "rollup_calls_hourly")) == 2
    assert sum(row["requests"] for row in table(filled, "rollup_requests_hourly")) == 1
    assert {path.name for path in filled.raw.iterdir()} == {"a.jsonl", "b.jsonl.zst"}
    assert all(len(found.metadata.snapshots) <= 1 for found in existing_tables(filled).values())

    put(filled, "again.jsonl", call(3, ANN.value, days=1), call(6, "bob"))
    again = etl.run(filled, settings=SETTINGS)
    assert (again.landed, again.forgotten, again.holds) == (1, 1, True)
    second = etl.forget(filled, ANN, settings=SETTINGS)
    assert (second.rows, second.raw_lines, second.is_gone) == ({}, 1, True)
    assert len(table(filled, "tombstones")) == 1


def test_the_proof_finds_what_is_left(filled: Home) -> None:
    put(filled, "mention.jsonl", call(7, "bob", tags={"asked-by": ANN.value}))
    etl.run(filled, settings=SETTINGS)
    note = filled.state / "note.txt"
    note.write_text(f"owner={ANN.value}")
    old = existing_tables(filled)["llm_calls"]
    assert old.metadata.current_snapshot_id
    old.manage_snapshots().create_tag(old.metadata.current_snapshot_id, "before").commit()
    found = etl.forget(filled, ANN, settings=SETTINGS).found
    where = {(Path(one.path).suffix, one.where) for one in found}
    assert {
        (".jsonl", "bytes"),
        (".txt", "bytes"),
        (".parquet", "column tags"),
        (".parquet", "column user_id"),
    } <= where
    assert (".avro", "avro") in where

    existing_tables(filled)["llm_calls"].manage_snapshots().remove_tag("before").commit()
    note.unlink()
    report = etl.forget(filled, Subject(ANN.kind, ANN.value, mentions=True), settings=SETTINGS)
    assert (report.rows, report.raw_lines, report.is_gone) == ({"llm_calls": 1}, 1, True)


def test_folders_that_a_run_has_read_are_reached(home: Home, tmp_path: Path) -> None:
    elsewhere = Home(tmp_path / "elsewhere")
    kept = put(elsewhere, "kept.jsonl", call(1, ANN.value), call(2, "bob"))
    gone = put(elsewhere, "gone.jsonl.gz", call(3, ANN.value))
    hour = elsewhere.raw / "dt=2026-11-02" / "hour=07" / "a.jsonl"
    hour.parent.mkdir(parents=True)
    hour.write_bytes(call(4, "bob") + call(5, ANN.value))
    scope = etl.Scope((str(elsewhere.raw),))
    assert etl.run(home, settings=SETTINGS, scope=scope).landed == 5
    report = etl.forget(home, ANN, settings=SETTINGS)
    assert (report.raw_objects, report.raw_lines, report.found) == (3, 3, [])
    assert (kept.read_bytes(), gone.exists(), hour.read_bytes()) == (call(2, "bob"), False, call(4, "bob"))
    assert etl.run(home, settings=SETTINGS, scope=scope).objects == 0


def test_a_tenant_and_the_command(filled: Home) -> None:
    at = ["--home", str(filled.path), "--tenant-id", "acme"]
    dry = CliRunner().invoke(app, ["etl", "forget", *at, "--dry-run", "--json"])
    assert json.loads(dry.stdout)["rows"] == {"llm_calls": 1, "rollup_spend_daily": 1, "rollup_sessions_daily": 1}
    done = CliRunner().invoke(app, ["etl", "forget", *at])
    assert done.exit_code == 0, done.stdout
    assert "found in none" in done.stdout
    assert not [row for row in table(filled, "rollup_spend_daily") if row["tenant_id"] == "acme"]
    refused = CliRunner().invoke(app, ["etl", "forget", "--home", str(filled.path)])
    assert isinstance(refused.exception, UsageError)


def test_nothing_is_cut_while_a_batch_is_unfinished(filled: Home) -> None:
    plan = filled.state / "etl" / "plans" / "x.json"
    plan.parent.mkdir(parents=True, exist_ok=True)
    plan.write_bytes(msgspec.json.encode(Plan("x", datetime(2026, 11, 1, tzinfo=UTC), [], 1, 1, 1)))
    with pytest.raises(DataError, match="etl run"):
        etl.forget(filled, ANN, settings=SETTINGS)
    assert len(table(filled, "llm_calls")) == 5


@pytest.mark.parametrize(("kind", "value"), [("user_id", ""), ("user_id", "  "), ("service", "s")])
def test_who_cannot_be_forgotten(kind: str, value: str) -> None:
    with pytest.raises(UsageError, match="expected an id"):
        Subject(kind, value)


@pytest.mark.parametrize(
    ("line", "mentions", "owned"),
    [
        (b'{"user_id":"a.b+c@x.io"}', False, True),
        (b'{"user_id": "a.b+c@x.io", broken', False, True),
        (b'{"user_id":"aXb+c@x.io"}', False, False),
        (b'{"user_id":"za.b+c@x.io"}', False, False),
        (b'{"tags":{"by":"a.b+c@x.io"}}', False, False),
        (b'{"tags":{"by":"a.b+c@x.io"}}', True, True),
        (b'{"tags":{"by":"a.b+c@x.io2"}}', True, False),
        (b"\xff a.b+c@x.io.", True, True),
    ],
)
def test_whose_line_it_is(line: bytes, mentions: bool, owned: bool) -> None:
    assert Subject("user_id", "a.b+c@x.io", mentions=mentions).owns(line) is owned
