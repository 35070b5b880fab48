"""`tollmeter etl run` on real files: each event once, every line accounted for, nothing changes twice."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from tollmeter import etl
from tollmeter.cli.app import app
from tollmeter.etl import plan
from tollmeter.etl.lake import TABLES, data_files, existing_tables
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import DERIVED_TABLES, UNPARTITIONED_TABLES, bucket_of
from tollmeter.model.errors import LockedError
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Run, Step, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings
from tollmeter.sql.engine import open_engine

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
BROKEN = int(os.environ.get("TOLLMETER_BROKEN_LINES", "20"))
HOUR = "dt=2026-11-03/hour=07"


def call(n: int, **fields: Any) -> LlmCall:
    given: dict[str, Any] = {
        "event_id": imported_event_id("test-call", str(n)),
        "timestamp": START + timedelta(minutes=n),
        "service": "chat",
        "provider": "openai",
        "request_model": f"gpt-{n % 3}",
        "input_tokens": n,
        "output_tokens": 2 * n,
        "latency_ms": 10.0 + n,
        "cost_usd": Decimal(n) / 10**6,
        "cost_status": "priced",
        "status": "error" if n % 10 == 0 else "ok",
    }
    return LlmCall(**(given | fields))


def request(n: int, **fields: Any) -> Request:
    given: dict[str, Any] = {
        "event_id": imported_event_id("test-request", str(n)),
        "timestamp": START + timedelta(minutes=n),
        "service": "chat",
        "route": "/chat",
        "status_code": 500 if n % 7 == 0 else 200,
        "duration_ms": 20.0 + n,
    }
    return Request(**(given | fields))


def put(home: Home, name: str, events: Iterable[Event | bytes]) -> Path:
    content = b"".join(event if isinstance(event, bytes) else encode(event) for event in events)
    path = home.raw / HOUR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    packs: dict[str, Callable[[bytes], bytes]] = {".zst": zstandard.compress, ".gz": gzip.compress}
    path.write_bytes(packs.get(path.suffix, bytes)(content))
    return path


def rows(home: Home, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = existing_tables(home)[table].scan().to_arrow().to_pylist()
    return found


def snapshots(home: Home) -> dict[str, list[int]]:
    tables = existing_tables(home)
    return {name: [s.snapshot_id for s in table.metadata.snapshots] for name, table in tables.items()}


def test_every_kind_lands_in_its_table_with_all_its_values(home: Home) -> None:
    step = Step(name="retrieve", start_ms=1.0, duration_ms=2.0)
    put(
        home,
        "a.jsonl.zst",
        [
            call(1, tags={"a": "é"}, server_tool_calls={"web_search": 2}, losses={"spool_full": 3}),
            request(2, steps=[step], timestamp=datetime(2026, 11, 2, 0, 30, tzinfo=UTC)),
            Evaluation(
                event_id=imported_event_id("t", "3"),
                timestamp=START,
                service="s",
                call_id=call(1).event_id,
                name="ok",
                score=1,
            ),
            Run(
                event_id=imported_event_id("t", "4"), timestamp=START, service="s", component="forward", counts={"x": 1}
            ),
        ],
    )
    report = etl.run(home)
    assert report.by_table == {"llm_calls": 1, "requests": 1, "evaluations": 1, "runs": 1}
    assert (report.objects, report.lines, report.landed, report.duplicates, report.quarantined) == (1, 4, 4, 0, 0)
    (landed,) = rows(home, "llm_calls")
    assert landed["timestamp"] == datetime(2026, 11, 1, 22, 1)  # noqa: DTZ001
    assert (landed["event_date"], landed["input_tokens"], landed["cost_usd"]) == (
        date(2026, 11, 1),
        1,
        Decimal("0.000001"),
    )
    assert landed["losses"] == '{"spool_full":3}'
    assert (landed["tags"], landed["server_tool_calls"], landed["extra"]) == ('{"a":"é"}', '{"web_search":2}', None)
    (served,) = rows(home, "requests")
    assert (served["event_date"], served["tags"], json.loads(served["steps"])[0]["name"]) == (
        date(2026, 11, 2),
        None,
        "retrieve",
    )
    runs = {row["component"]: row for row in rows(home, "runs")}
    assert json.loads(runs["etl"]["counts"]) == {
        "objects": 1,
        "bytes": (home.raw / HOUR / "a.jsonl.zst").stat().st_size,
        "lines": 4,
        "landed": 4,
        "duplicates": 0,
        "quarantined": 0,
        "forgotten": 0,
    }
    assert runs["forward"]["counts"] == '{"x":1}'


def test_tables_have_the_registrys_schemas_and_the_codec_of_the_settings(home: Home) -> None:
    put(home, "a.jsonl", [call(1)])
    etl.run(home, settings=Settings.load({}, parquet_codec="snappy"))
    tables = existing_tables(home)
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        found = table.schema().as_arrow()
        assert [(f.name, f.nullable) for f in found] == [(f.name, f.nullable) for f in arrow_schema(name)]
        assert table.properties["commit.retry.num-retries"] == "0"
        assert [f.name for f in table.spec().fields] == ([] if name in UNPARTITIONED_TABLES else ["event_date"])
    (file,) = data_files(tables["llm_calls"])
    assert "event_date=2026-11-01" in file
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "SNAPPY"


def test_a_second_run_changes_nothing(home: Home) -> None:
    put(home, "a.jsonl.zst", [*map(call, range(50)), *map(request, range(50)), b"broken\n"])
    etl.run(home)
    before = snapshots(home)
    again = etl.run(home)
    assert (again.objects, again.lines) == (0, 0)
    assert snapshots(home) == before


def test_the_same_object_under_another_key_lands_nothing(home: Home) -> None:
    first = put(home, "a.jsonl.zst", [*map(call, range(50)), b"broken\n"])
    etl.run(home)
    before = snapshots(home)
    (first.parent / "b.jsonl.zst").write_bytes(first.read_bytes())
    again = etl.run(home)
    assert (again.lines, again.duplicates, again.landed, again.quarantined) == (51, 51, 0, 0)
    for table in ("llm_calls", "quarantine"):
        assert snapshots(home)[table] == before[table]


def test_two_copies_in_one_run_land_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_OBJECTS", 1)
    for name in ("a.jsonl", "b.jsonl"):
        put(home, name, [call(1), b"broken\n"])
    report = etl.run(home)
    assert (report.objects, report.landed, report.quarantined, report.duplicates) == (2, 1, 1, 2)


def test_an_event_lands_once_whatever_object_brings_it(home: Home) -> None:
    put(home, "a.jsonl", [call(1), call(2), call(1)])
    put(home, "b.jsonl.gz", [call(2), call(3)])
    first = etl.run(home)
    assert (first.lines, first.landed, first.duplicates) == (5, 3, 2)
    put(home, "c.jsonl.zst", [call(3), call(4), call(4)])
    second = etl.run(home)
    assert (second.lines, second.landed, second.duplicates) == (3, 1, 2)
    assert sorted(row["input_tokens"] for row in rows(home, "llm_calls")) == [1, 2, 3, 4]
    counts = ("objects", "lines", "landed", "duplicates")
    (folded,) = [row for row in rows(home, "ingest_ledger") if row["lines"]]
    assert [folded[name] for name in counts] == [3, 8, 4, 4]


def test_one_percent_of_broken_lines_at_length(home: Home) -> None:
    line = encode(call(5000))
    kinds = [
        line[:100] + b"\n",
        line.replace(b'"input_tokens":5000', b'"input_tokens":"abc"'),
        line.replace(b"llm_call", b"llm_cell"),
        line.replace(b"chat", b"ch\xffat"),
        line.replace(b"chat", b"ch\0at"),
    ]
    lines = [
        kinds[n // 100 % 5] if n % 100 == 99 else encode(call(0, event_id=imported_event_id("at length", str(n))))
        for n in range(BROKEN * 100)
    ]
    put(home, "a.jsonl.zst", lines)
    report = etl.run(home)
    assert report.equation.endswith(f"{BROKEN * 100} = {BROKEN * 99} + 0 + {BROKEN}")
    reasons = {"not_json": 2, "invalid": 1, "unknown_kind": 1, "not_utf8": 1}
    assert report.quarantined_by_reason == {reason: count * BROKEN // 5 for reason, count in reasons.items()}
    assert all(row["detail"] for row in rows(home, "quarantine"))


def test_broken_lines_of_every_kind(home: Home) -> None:
    good = [encode(call(n)) for n in range(1000)]
    line = encode(call(5000))
    broken = {
        "not_json": [line[:100] + b"\n", line.replace(b"chat", b"ch\0at"), b"\n"],
        "invalid": [line.replace(b'"input_tokens":5000', b'"input_tokens":"abc"'), b"[]\n"],
        "unknown_kind": [line.replace(b"llm_call", b"llm_cell")],
        "not_utf8": [line.replace(b"chat", b"ch\xffat")],
        "too_long": [b'{"kind":"llm_call","x":"' + b"x" * (10 << 20) + b'"}\n'],
        "money": [line.replace(b"0.005", b"NaN")],
    }
    lines = list(good)
    for at, bad in enumerate(bad for group in broken.values() for bad in group):
        lines.insert(at * 97, bad)
    put(home, "a.jsonl.zst", lines)
    report = etl.run(home)
    assert report.equation.endswith("1009 = 1000 + 0 + 9")
    assert report.quarantined_by_reason == {reason: len(group) for reason, group in broken.items()}
    faults = rows(home, "quarantine")
    assert sorted(row["line_number"] for row in faults) == [at * 97 + 1 for at in range(9)]
    assert Counter(row["reason"] for row in faults) == report.quarantined_by_reason
    assert all(row["detail"] and len(row["raw_text"].encode()) < 65_536 for row in faults)


def test_a_torn_object_lands_what_is_readable_and_says_so(home: Home) -> None:
    path = put(home, "a.jsonl.zst", [call(n, prompt_name=f"{n * 7919 % 104729:x}" * 40) for n in range(20_000)])
    path.write_bytes(path.read_bytes()[:-100])
    report = etl.run(home)
    assert report.quarantined_by_reason == {"unreadable": 1}
    assert report.landed == report.lines - 1 > 1000


def test_late_events_join_their_day_and_its_rollups(home: Home) -> None:
    put(home, "a.jsonl", map(call, range(5)))
    etl.run(home)
    put(home, "b.jsonl", [call(0), call(6), call(9000)])
    etl.run(home)
    by_day = Counter(row["event_date"] for row in rows(home, "llm_calls"))
    assert by_day == {date(2026, 11, 1): 6, date(2026, 11, 8): 1}
    rolled: Counter[date] = Counter()
    for row in rows(home, "rollup_calls_hourly"):
        rolled[row["event_date"]] += row["calls"]
    assert rolled == by_day


def test_rollups_add_up_to_their_rows(home: Home) -> None:
    calls = [call(n, ttft_ms=n / 3 if n % 2 else None, http_status=429 if n % 20 == 0 else 200) for n in range(400)]
    requests = [request(n, client_disconnected=n % 5 == 0) for n in range(300)]
    put(home, "a.jsonl.zst", [*calls, *requests])
    etl.run(home)
    hourly = rows(home, "rollup_calls_hourly")
    assert sum(row["calls"] for row in hourly) == 400
    assert sum(row["errors"] for row in hourly) == 40
    assert sum(row["throttles"] for row in hourly) == 20
    assert sum(row["input_tokens"] for row in hourly) == sum(range(400))
    assert sum(row["cost_usd"] for row in hourly) == sum((c.cost_usd or Decimal(0)) for c in calls)
    assert {(row["event_date"], row["hour"].date()) for row in hourly} == {
        (d, d) for d in (date(2026, 11, 1), date(2026, 11, 2))
    }
    served = rows(home, "rollup_requests_hourly")
    assert sum(row["requests"] for row in served) == 300
    assert sum(row["errors"] for row in served) == 43
    assert sum(row["client_disconnects"] for row in served) == 60
    assert {row["status_class"] for row in served} == {"2xx", "5xx"}
    buckets: Counter[tuple[str, int]] = Counter()
    for row in rows(home, "rollup_latency_hourly"):
        buckets[row["metric"], row["bucket"]] += row["count"]
    expected = Counter(("llm.latency_ms", bucket_of(c.latency_ms or 0.0)) for c in calls)
    expected += Counter(("llm.ttft_ms", bucket_of(c.ttft_ms)) for c in calls if c.ttft_ms is not None)
    expected += Counter(("http.duration_ms", bucket_of(r.duration_ms)) for r in requests)
    assert buckets == expected


def test_absurd_counts_do_not_stop_the_rollups(home: Home) -> None:
    put(home, "a.jsonl", [call(n, input_tokens=2**63 - 1, request_model="m", status="ok") for n in range(3)])
    etl.run(home)
    assert [row["input_tokens"] for row in rows(home, "rollup_calls_hourly")] == [2**63 - 1]


@pytest.mark.parametrize(("part_slices", "commits"), [(1, 5), (2, 3), (9, 1)])
def test_a_large_batch_lands_in_parts(
    home: Home, monkeypatch: pytest.MonkeyPatch, part_slices: int, commits: int
) -> None:
    monkeypatch.setattr(plan, "SLICE_BYTES", 16 << 10)
    monkeypatch.setattr(plan, "PART_SLICES", part_slices)
    put(home, "a.jsonl", [*map(call, range(300)), *map(call, range(100))])
    report = etl.run(home)
    assert (report.lines, report.landed, report.duplicates) == (400, 300, 100)
    assert len(snapshots(home)["llm_calls"]) == commits
    assert sum(row["objects"] for row in rows(home, "ingest_ledger")) == 1


def test_only_one_run_at_a_time(home: Home) -> None:
    put(home, "a.jsonl", [call(1)])
    home.state.mkdir(parents=True)
    with (home.state / "etl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match=r"etl\.lock"):
            etl.run(home)
    assert etl.run(home).landed == 1


def test_a_home_with_spaces_and_signs(tmp_path: Path) -> None:
    home = Home(tmp_path / "ho me+ü%20#1?[x]")
    put(home, "a.jsonl", [call(1)])
    assert etl.run(home).landed == 1
    put(home, "b.jsonl", [call(1), call(2)])
    assert etl.run(home).duplicates == 1


def test_parquet_is_readable_as_it_lies(home: Home) -> None:
    put(home, "a.jsonl", map(call, range(10)))
    etl.run(home)
    files = f"{home.lake}/tollmeter/llm_calls/data/*/*.parquet"
    with duckdb.connect() as connection:
        row = connection.execute(
            "SELECT sum(cost_usd), typeof(any_value(cost_usd)) FROM read_parquet(?)", [files]
        ).fetchone()
    assert row == (Decimal("0.000045"), "DECIMAL(18,12)")


def test_the_commands(home: Home) -> None:
    invoke = CliRunner().invoke
    at = ["--home", str(home.path), "--json"]
    assert json.loads(invoke(app, ["etl", "status", *at]).stdout) == {
        "tables": [],
        "pending": {"objects": 0, "bytes": 0},
        "last_run": None,
    }
    path = put(home, "a.jsonl", [call(1), b"broken\n"])
    dry = json.loads(invoke(app, ["etl", "run", "--dry-run", *at]).stdout)
    assert dry == {"objects": [{"key": f"{HOUR}/a.jsonl", "bytes": path.stat().st_size}]}
    assert not home.lake.exists()
    report = json.loads(invoke(app, ["etl", "run", *at]).stdout)
    assert (report["lines"], report["landed"], report["quarantined"], report["invariant_holds"]) == (2, 1, 1, True)
    status = json.loads(invoke(app, ["etl", "status", *at]).stdout)
    tables = {table["table"]: table for table in status["tables"]}
    assert set(DERIVED_TABLES) < set(tables)
    assert (tables["llm_calls"]["rows"], tables["llm_calls"]["newest"]) == (1, "2026-11-01T22:01:00")
    assert (tables["llm_calls"]["small_files"], tables["llm_calls"]["orphans"]) == (1, 0)
    assert status["last_run"] == rows(home, "ingest_ledger")[0]["ingested_at"].isoformat()
    assert status["pending"] == {"objects": 0, "bytes": 0}
    text = invoke(app, ["etl", "run", "--home", str(home.path)]).stdout
    assert "lines read = rows landed + duplicates + quarantined: 0 = 0 + 0 + 0" in text
    assert "llm_calls" in invoke(app, ["etl", "status", "--home", str(home.path)]).stdout


NEW_COLUMNS = ("usage_method", "raw_usage")


def test_a_lake_of_an_earlier_version_gets_the_new_columns_and_keeps_its_rows(home: Home) -> None:
    put(home, "a.jsonl", [call(1), request(1)])
    etl.run(home)
    table = existing_tables(home)["llm_calls"]
    with table.transaction() as change, change.update_schema(allow_incompatible_changes=True) as schema:
        for column in NEW_COLUMNS:
            schema.delete_column(column)
    table.overwrite(table.scan().to_arrow())
    put(home, "b.jsonl", [call(1), call(2, usage_method="o200k", raw_usage="{}"), request(1)])
    report = etl.run(home)
    assert (report.landed, report.duplicates) == (1, 2)
    found = {row["input_tokens"]: row for row in rows(home, "llm_calls")}
    assert [[found[n][column] for column in NEW_COLUMNS] for n in (1, 2)] == [[None, None], ["o200k", "{}"]]
    assert sum(row["calls"] for row in rows(home, "rollup_calls_hourly")) == 2
    with open_engine("duckdb", home) as engine:
        read = engine.execute("SELECT usage_method, raw_usage FROM llm_calls ORDER BY input_tokens").to_pylist()
    assert [tuple(row.values()) for row in read] == [(None, None), ("o200k", "{}")]


def test_rollups_read_files_of_before_and_after_a_column_in_any_order(home: Home) -> None:
    put(home, "a.jsonl", [call(1, tenant_id="acme", cost_usd=Decimal(1))])
    etl.run(home)
    table = existing_tables(home)["llm_calls"]
    with table.transaction() as change, change.update_schema(allow_incompatible_changes=True) as schema:
        schema.delete_column("tenant_id")
    table.overwrite(table.scan().to_arrow())
    put(home, "b.jsonl", [call(2, tenant_id="zeta", cost_usd=Decimal(1))])
    etl.run(home)
    found = {row["tenant_id"]: row["calls"] for row in rows(home, "rollup_spend_daily")}
    assert found == {"": 1, "zeta": 1}
