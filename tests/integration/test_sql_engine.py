"""The embedded engine over real Iceberg tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hand_lake import append, call, land, opened, request, roll_up
from pyiceberg.types import StringType

from tollmeter.model.arrow import arrow_schema
from tollmeter.model.errors import DataError, QueryError, UnknownNameError
from tollmeter.model.home import Home
from tollmeter.sql.catalog import open_catalog
from tollmeter.sql.engine import open_engine
from tollmeter.sql.lake_views import TABLES

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_an_empty_lake_has_every_view_in_the_registrys_schema(home: Home) -> None:
    with open_engine("duckdb", home) as engine:
        for table in TABLES:
            found = engine.execute(f"SELECT * FROM {table}")
            assert found.num_rows == 0
            wanted = {field.name: field.type for field in arrow_schema(table)}
            assert {field.name: field.type for field in found.schema} == wanted
        assert engine.execute("SELECT COUNT(*) AS n FROM llm_requests").to_pylist() == [{"n": 0}]
        assert engine.execute("SELECT COUNT(*) AS n FROM spectrum_schema.raw_requests").to_pylist() == [{"n": 0}]


def test_a_full_table_has_the_same_schema_as_an_empty_one(home: Home) -> None:
    land(home, [call(NOON, cost_usd=Decimal("0.000000000001"))])
    with open_engine("duckdb", home) as engine:
        found = engine.execute("SELECT * FROM llm_calls")
    assert {field.name: field.type for field in found.schema} == {
        field.name: field.type for field in arrow_schema("llm_calls")
    }
    assert found["cost_usd"].to_pylist() == [Decimal("0.000000000001")]
    assert found["timestamp"].to_pylist() == [datetime(2026, 11, 1, 12)]  # noqa: DTZ001


def test_what_people_already_type_works(home: Home) -> None:
    recent = datetime.now(UTC) - timedelta(days=2)
    old = recent - timedelta(days=90)
    calls = [
        call(recent, response_model="gpt-4o-2024-08-06", input_tokens=7, output_tokens=5, latency_ms=100.0),
        call(recent, response_model="gpt-4o-2024-08-06", input_tokens=1, output_tokens=2, latency_ms=300.0),
        call(old, input_tokens=1000),
    ]
    land(home, calls)
    text = """
        SELECT model, DATE_TRUNC('day', created_at) AS day, COUNT(*) AS requests, SUM(tokens) AS total_tokens,
               AVG(latency_ms) AS avg_latency
        FROM llm_requests
        WHERE created_at >= DATEADD(day, -30, GETDATE())
        GROUP BY model, DATE_TRUNC('day', created_at)
        ORDER BY day DESC
    """
    with open_engine("duckdb", home) as engine:
        rows = engine.execute(text).to_pylist()
        counted = engine.execute(
            "SELECT model, COUNT(*) AS n FROM spectrum_schema.raw_requests WHERE year = :y AND month = :m GROUP BY 1",
            {"y": old.year, "m": old.month},
        ).to_pylist()
    assert [(row["model"], row["requests"], row["total_tokens"], row["avg_latency"]) for row in rows] == [
        ("gpt-4o-2024-08-06", 2, Decimal(15), 200.0)
    ]
    assert rows[0]["day"].date() == recent.date()
    assert counted == [{"model": "gpt-4o", "n": 1}]


def test_refresh_sees_what_was_committed_since(home: Home) -> None:
    with open_engine("duckdb", home) as engine:
        land(home, [call(NOON)])
        count = "SELECT COUNT(*) AS n FROM llm_requests"
        assert engine.execute(count).to_pylist() == [{"n": 0}]
        engine.refresh()
        assert engine.execute(count).to_pylist() == [{"n": 1}]
        land(home, [call(NOON + timedelta(days=1))])
        engine.refresh()
        assert engine.execute(count).to_pylist() == [{"n": 2}]


def test_rows_that_were_overwritten_are_gone(home: Home) -> None:
    land(home, [call(NOON), call(NOON + timedelta(days=1))])
    catalog = open_catalog(home)
    opened(catalog, "llm_calls").delete("event_date = '2026-11-01'")
    catalog.close()
    with open_engine("duckdb", home) as engine:
        assert engine.execute("SELECT COUNT(*) AS n FROM llm_calls").to_pylist() == [{"n": 1}]


def test_a_renamed_column_and_one_that_old_files_lack_are_read_by_field_id(home: Home) -> None:
    land(home, [call(NOON, tenant_id="acme")])
    catalog = open_catalog(home)
    table = opened(catalog, "llm_calls")
    with table.update_schema() as update:
        update.rename_column("tenant_id", "tenant_before")
        update.delete_column("team")
    with table.update_schema() as update:
        update.add_column("tenant_id", StringType())
    catalog.close()
    with open_engine("duckdb", home) as engine:
        # tenant_id is a new column now, which the file of before does not hold; team is not in the table at all.
        assert engine.execute("SELECT tenant_id, team FROM llm_calls").to_pylist() == [
            {"tenant_id": None, "team": None}
        ]


def test_folders_with_spaces_and_quotes_are_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's a home")
    land(home, [call(NOON)])
    assert list(home.lake.rglob("*.parquet"))
    with open_engine("duckdb", home) as engine:
        assert engine.execute("SELECT COUNT(*) AS n FROM llm_calls").to_pylist() == [{"n": 1}]


def test_delete_files_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.table import DataScan

    land(home, [call(NOON)])
    plan = DataScan.plan_files

    def with_deletes(scan: DataScan) -> list[object]:
        tasks = list(plan(scan))
        for task in tasks:
            task.delete_files = {task.file}
        return list(tasks)

    # No writer of ours makes such files; another one on the same table might.
    monkeypatch.setattr(DataScan, "plan_files", with_deletes)
    with pytest.raises(DataError, match=r"llm_calls has delete files"):
        open_engine("duckdb", home)


@pytest.mark.parametrize("text", ["SELECT * FROM read_csv('/etc/passwd')", "COPY llm_calls TO '/tmp/out.csv'"])
def test_nothing_outside_the_lake_is_read_or_written(home: Home, text: str) -> None:
    with open_engine("duckdb", home) as engine, pytest.raises(QueryError):
        engine.execute(text)


def test_faults_name_the_text(home: Home) -> None:
    with open_engine("duckdb", home) as engine:
        with pytest.raises(QueryError, match="nowhere"):
            engine.execute("SELECT 1 FROM nowhere")
        with pytest.raises(QueryError, match="not Redshift SQL"):
            engine.execute("SELECT FROM WHERE (")
        with pytest.raises(QueryError, match="one statement, found 2"):
            engine.execute("SELECT 1; SELECT 2")
    with pytest.raises(UnknownNameError, match="no engine named 'duck'; did you mean duckdb"):
        open_engine("duck", home)


def test_threads_share_an_engine(home: Home) -> None:
    land(home, [call(NOON + timedelta(seconds=index), input_tokens=index) for index in range(200)])
    with open_engine("duckdb", home) as engine, ThreadPoolExecutor(8) as pool:
        text = "SELECT SUM(input_tokens) AS n FROM llm_calls WHERE input_tokens < :top"
        found = pool.map(lambda top: engine.execute(text, {"top": top}).to_pylist()[0]["n"], range(1, 101))
        assert list(found) == [top * (top - 1) // 2 for top in range(1, 101)]


def test_times_do_not_depend_on_the_machines_zone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    land(home, [request(datetime(2026, 11, 1, 23, 30, tzinfo=UTC), duration_ms=5.0)])
    roll_up(home)
    with open_engine("duckdb", home) as engine:
        rows = engine.query("latency_by_route_hour", since="2026-11-01", until="2026-11-02").to_pylist()
        (now,) = engine.execute("SELECT CAST(GETDATE() AS TIMESTAMP) AS moment").to_pylist()
    assert [row["hour"] for row in rows] == [datetime(2026, 11, 1, 23)]  # noqa: DTZ001
    assert abs(now["moment"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)


def test_quarantine_is_counted_by_reason(home: Home) -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC).replace(tzinfo=None)
    base = {"object_key": "a.jsonl", "sha256": "0", "event_date": day.date(), "ingested_at": day, "batch_id": "b"}
    rows = [base | {"line_number": line, "reason": reason} for line, reason in enumerate(["not_json"] * 3 + ["money"])]
    append(home, "quarantine", rows)
    with open_engine("duckdb", home) as engine:
        found = engine.query("data_health", since="2026-11-01", until="2026-12-01").to_pylist()
    assert [(row["reason"], row["lines"], row["objects"]) for row in found] == [("not_json", 3, 1), ("money", 1, 1)]
