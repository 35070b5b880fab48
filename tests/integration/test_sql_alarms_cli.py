"""`tollmeter query`, `tollmeter sql` and `tollmeter alarms` as a user types them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hand_lake import call, land, roll_up

from tollmeter.cli.main import main
from tollmeter.model.home import Home

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line; gives exit code, stdout and stderr."""

    def runner(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tollmeter", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return runner


@pytest.fixture
def lake(home: Home) -> str:
    """Thirty minutes of traffic, of which the minutes 10 to 14 fail by half; a call costs 1e-12 USD."""
    calls = [
        call(
            NOON + timedelta(minutes=minute, seconds=second),
            status="error" if 10 <= minute < 15 and second % 2 else "ok",
            cost_usd=Decimal("0.000000000001") if minute == 0 else None,
            cost_status="priced" if minute == 0 else "unpriced",
            input_tokens=3,
        )
        for minute in range(30)
        for second in range(30)
    ]
    land(home, calls)
    roll_up(home)
    return str(home.path)


SPAN = ("-p", "since=2026-11-01", "-p", "until=2026-11-02")


def test_a_query_in_each_format_keeps_every_decimal(run: Run, lake: str) -> None:
    code, out, _ = run("query", "cost_by_day_model", *SPAN, "--home", lake)
    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["day", "model", "calls", "cost_usd"]
    assert out.splitlines()[2].split() == ["2026-11-01", "gpt-4o", "900", "0.000000000030", "2700", "0", "0", "870"]
    _, out, _ = run("query", "cost_by_day_model", *SPAN, "--home", lake, "--format", "csv")
    assert next(iter(csv.DictReader(io.StringIO(out))))["cost_usd"] == "0.000000000030"
    _, out, _ = run("query", "cost_by_day_model", *SPAN, "--home", lake, "--json")
    assert (json.loads(out)[0]["calls"], json.loads(out)[0]["cost_usd"]) == (900, "0.000000000030")


def test_a_query_on_an_empty_lake_prints_its_columns(run: Run, home: Home) -> None:
    code, out, _ = run("query", "errors_by_type", "--home", str(home.path), "--format", "csv")
    assert (code, out) == (0, "error_type,errors,first_seen,last_seen\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "cost_by_dya"], "no query named 'cost_by_dya'"),
        (["query"], "name a query"),
        (["query", "overview", "-p", "model"], "--param='model' is not allowed: expected name=value"),
        (["query", "overview", "-p", "since=soon"], "since='soon' is not allowed: expected a time"),
        (["query", "overview", "-p", "models=x"], "did you mean model?"),
        (["query", "overview", "--format", "xml"], "--format='xml' is not allowed: expected table, json, csv, parquet"),
        (
            ["query", "overview", "--engine", "oracle"],
            "engine='oracle' is not allowed: expected one of duckdb, redshift, redshift-data",
        ),
        (["query", "overview", "--format", "csv", "-o", "x"], "--output goes with --format parquet"),
        (["query", "overview", "--engine", "redshift"], "needs TOLLMETER_REDSHIFT_WORKGROUP"),
        (["sql", "show", "nothing"], "no query named 'nothing'"),
        (["sql", "deploy", "--engine", "duckdb"], "no engine on Redshift named 'duckdb'"),
        (["sql", "run", "copy_folder", "-v", "table=x;y", "-v", "url=s3://abc/"], "table='x;y' is not allowed"),
        (["sql", "run", "load_native", "-v", "tabel=x"], "no value named 'tabel'; did you mean table?"),
        (["alarms", "backtest", "nothing"], "no alarm named 'nothing'; known: llm_error_rate"),
        (["alarms", "backtest", "--from", "soon"], "since='soon' is not allowed"),
        (["alarms", "backtest", "--from", "2026-11-02", "--to", "2026-11-01"], "is not before"),
        (["alarms", "backtest", "--arrival", "never"], "arrival='never' is not allowed: expected one of event, lake"),
        (["alarms", "explain", "llm_error_rate", "--at", "soon"], "at='soon' is not allowed: expected a time"),
        (["alarms", "explain", "llm_eror_rate", "--at", "now"], "no alarm named 'llm_eror_rate'; did you mean"),
        (["alarms", "render", "nagios"], "no alarm target named 'nagios'; known: cloudformation"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_allowed(run: Run, home: Home, arguments: list[str], message: str) -> None:
    asks = arguments[0] == "query" or arguments[1] in {"backtest", "explain"}
    extra = ["--home", str(home.path)] if asks else []
    code, out, err = run(*arguments, *extra)
    assert (code, out) == (2, "")
    assert message in err


def test_queries_are_listed_and_shown(run: Run) -> None:
    _, out, _ = run("query", "--list")
    assert "limit: int, default '10': rows" in out
    _, out, _ = run("sql", "list", "--json")
    assert "overview" in {one["name"] for one in json.loads(out)}
    _, out, _ = run("sql", "show", "latency_by_route_hour")
    assert "FROM rollup_latency_hourly" in out
    _, out, _ = run("sql", "show", "latency_by_route_hour", "--duckdb")
    assert "AS DOUBLE) AS p99_ms" in out
    _, out, _ = run("sql", "show", "overview", "--json")
    assert json.loads(out)["columns"][0]["type"] == "decimal(38,12)"


def test_parquet_is_written_to_a_file_with_its_types(run: Run, lake: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.parquet"
    code, out, _ = run("query", "cost_by_day_model", *SPAN, "--home", lake, "--format", "parquet", "-o", str(file))
    assert (code, out) == (0, "")
    table = pq.read_table(file)
    assert table["cost_usd"].to_pylist() == [Decimal("0.000000000030")]
    assert str(table.schema.field("cost_usd").type) == "decimal128(38, 12)"


def test_what_would_be_deployed_or_run_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    role = "arn:aws:iam::123456789012:role/spectrum"
    monkeypatch.setenv("TOLLMETER_REDSHIFT_EXTERNAL_SCHEMA", "spectrum_lake")
    monkeypatch.setenv("TOLLMETER_GLUE_DATABASE", "ai_platform_lake")
    monkeypatch.setenv("TOLLMETER_REDSHIFT_IAM_ROLE", role)
    code, out, _ = run("sql", "deploy", "--dry-run", "--json")
    statements = [one["sql"] for one in json.loads(out)]
    assert code == 0
    assert statements[0].split("\n")[0] == 'CREATE EXTERNAL SCHEMA IF NOT EXISTS "spectrum_lake"'
    assert f"DATABASE 'ai_platform_lake'\nIAM_ROLE '{role}'" in statements[0]
    assert not any("tollmeter_native" in sql for sql in statements)
    _, out, _ = run("sql", "deploy", "--dry-run", "--native")
    assert 'CREATE TABLE IF NOT EXISTS "tollmeter_native"."llm_calls"' in out
    values = ("-v", "table=llm_calls", "-v", "url=s3://ai-platform-data/requests/")
    _, out, _ = run("sql", "run", "copy_folder", *values, "--dry-run")
    assert f"COPY staged\nFROM 's3://ai-platform-data/requests/'\nIAM_ROLE '{role}'\nFORMAT AS PARQUET;" in out


def test_a_manifest_names_the_live_files_and_their_lengths(
    run: Run, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live,) = Path(lake).rglob("llm_calls/**/*.parquet")
    live.with_name("left-behind.parquet").write_bytes(b"of a run that was killed")
    code, _, err = run("sql", "manifest", "llm_calls", "--home", lake)
    assert code == 2
    assert "is not in S3" in err
    monkeypatch.setattr("tollmeter.sql.manifest._S3", "/")
    _, out, _ = run("sql", "manifest", "llm_calls", "--home", lake)
    entry = {"url": str(live), "mandatory": True, "meta": {"content_length": live.stat().st_size}}
    assert json.loads(out) == {"entries": [entry]}
    assert run("sql", "manifest", "llm_call", "--home", lake)[0] == 2


def test_statements_are_listed_and_shown(run: Run) -> None:
    _, out, _ = run("sql", "list", "--statements", "--json")
    assert {"unload_by_model", "copy_folder"} <= {one["name"] for one in json.loads(out)}
    _, out, _ = run("sql", "list", "--statements")
    assert "since: day: first day" in out
    _, out, _ = run("sql", "show", "unload_by_model")
    assert "PARTITION BY (model)" in out
    _, out, _ = run("sql", "show", "unload_by_model", "--json")
    assert json.loads(out)["values"]["url"].startswith("s3_url: where to")


def test_an_alarm_is_tried_on_history(run: Run, lake: str) -> None:
    code, out, _ = run("alarms", "backtest", "--home", lake, "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert found["firings"] == [
        {"start": "2026-11-01T12:13:00", "end": "2026-11-01T12:18:00", "duration_s": 300.0, "peak": 50.0}
    ]
    assert (found["pages"], found["evaluations"], found["firings_per_week"]) == (1, 30, 7.0)
    _, out, _ = run("alarms", "backtest", "--home", lake)
    assert "1 firings, 1 pages, 7.00 a week" in out
    assert "2026-11-01 12:13 to 2026-11-01 12:18, 5 min, peak 50.0 %" in out


def test_a_backtest_takes_a_span_and_a_service(run: Run, lake: str) -> None:
    quiet = ("--from", "2026-11-01T12:20", "--to", "2026-11-01T13:00")
    _, out, _ = run("alarms", "backtest", "llm_error_rate", *quiet, "--home", lake, "--json")
    (found,) = json.loads(out)
    assert (found["evaluations"], found["evaluations_with_data"], found["firings"]) == (40, 10, [])
    _, out, _ = run("alarms", "backtest", "--service", "other", "--home", lake)
    assert out == "llm_error_rate: the lake holds no calls to try it on\n"


def test_an_alarm_explains_itself(run: Run, lake: str) -> None:
    code, out, _ = run("alarms", "explain", "llm_error_rate", "--at", "2026-11-01T12:13:30", "--home", lake)
    assert code == 0
    assert out.splitlines()[0] == "llm_error_rate at 2026-11-01 12:13 UTC: ALARM, before OK"
    assert [line.split("  ")[-1] for line in out.splitlines()[2:9]] == ["not needed"] * 2 + ["not breaching"] * 2 + [
        "breaching"
    ] * 3
    assert out.splitlines()[-1].strip() == "3 of 5 data points breach, 3 are needed"
    _, out, _ = run("alarms", "explain", "llm_error_rate", "--at", "2026-11-01T12:13", "--home", lake, "--json")
    newest = json.loads(out)["points"][-1]["point"]
    assert newest == {
        "start": "2026-11-01T12:12:00",
        "end": "2026-11-01T12:13:00",
        "share": 15,
        "of": 30,
        "value": 50.0,
    }


def test_what_came_late_to_the_lake_pages_nobody(run: Run, lake: str) -> None:
    _, out, _ = run("alarms", "backtest", "--arrival", "lake", "--home", lake, "--json")
    (found,) = json.loads(out)
    assert (found["evaluations"], found["evaluations_with_data"], found["firings"]) == (30, 0, [])


def test_alarms_are_listed_and_rendered(run: Run, tmp_path: Path) -> None:
    _, out, _ = run("alarms", "list")
    assert "100 * llm.errors / llm.calls greater than 5 in 3 of 5 periods of 60 s" in out
    _, out, _ = run("alarms", "list", "--json")
    assert json.loads(out)[0]["signal"] == {"share": "llm.errors", "of": "llm.calls"}
    _, out, _ = run("alarms", "render", "cloudformation", "--namespace", "Mine")
    assert json.loads(out)["Parameters"]["Namespace"]["Default"] == "Mine"
    file = tmp_path / "alarms.json"
    assert run("alarms", "render", "cloudformation", "--namespace", "Mine", "-o", str(file))[:2] == (0, "")
    assert file.read_text() == out
