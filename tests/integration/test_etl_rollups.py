"""Rollups over a real lake: whatever the order and split of what comes, they say what the rows say."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hand_lake import call, land, request, roll_up
from pyiceberg.types import StringType

from tollmeter.etl import datafiles
from tollmeter.etl.lake import existing_tables, open_tables
from tollmeter.etl.maintenance.compaction import compact
from tollmeter.etl.maintenance.retention import drop_days
from tollmeter.etl.rollups import deriving
from tollmeter.model.derived import ROLLUP_TABLES
from tollmeter.model.errors import InvariantError
from tollmeter.model.events import Event
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.catalog import NAMESPACE, open_catalog

DAY = datetime(2026, 11, 1, tzinfo=UTC)
CALLS = [
    call(DAY + timedelta(minutes=37 * n), tenant_id=f"t{n % 3}", input_tokens=n, cost_usd=Decimal(n) / 1000)
    for n in range(120)
]
REQUESTS = [request(DAY + timedelta(minutes=53 * n), duration_ms=5.0 + n, tenant_id="t1") for n in range(60)]
EVENTS: list[Event] = [*CALLS, *REQUESTS]


def contents(home: Home) -> dict[str, list[str]]:
    tables = existing_tables(home)
    return {name: sorted(map(str, tables[name].scan().to_arrow().to_pylist())) for name in ROLLUP_TABLES}


def snapshots(home: Home) -> dict[str, int]:
    tables = existing_tables(home)
    return {name: len(tables[name].metadata.snapshots) for name in ROLLUP_TABLES}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    home = Home(tmp_path_factory.mktemp("lake") / "home")
    land(home, EVENTS)
    report = roll_up(home)
    assert report.days == dict.fromkeys(ROLLUP_TABLES, 4) | {"rollup_requests_hourly": 3}
    assert (report.totals["calls"], report.totals["requests"]) == (120, 60)
    assert report.totals["cost_usd"] == sum(Decimal(n) / 1000 for n in range(120))
    assert "rollups = rows in " in report.equation
    return contents(home)


@pytest.mark.parametrize("hours_pay", [0, 10**9], ids=["by hours", "by days"])
def test_order_and_split_change_nothing(
    home: Home, at_once: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, hours_pay: int
) -> None:
    monkeypatch.setattr("tollmeter.etl.rollups.deriving.HOURS_PAY_ROWS", hours_pay)
    for part in (EVENTS[100:], EVENTS[40:100:2], EVENTS[:40] + EVENTS[41:100:2]):
        land(home, part)
        roll_up(home)
    assert contents(home) == at_once


def test_a_rollup_of_an_earlier_version_is_made_anew(home: Home, at_once: dict[str, list[str]]) -> None:
    land(home, EVENTS)
    roll_up(home)
    with existing_tables(home)["rollup_calls_hourly"].update_schema() as change:
        change.add_column("was_here_before", StringType())
    roll_up(home)
    assert contents(home) == at_once


def test_deriving_twice_commits_nothing(home: Home) -> None:
    land(home, EVENTS[:5])
    roll_up(home)
    before = snapshots(home)
    again = roll_up(home)
    assert (again.days, again.totals) == ({}, {})
    assert snapshots(home) == before


def test_late_rows_are_aggregated_with_their_hours_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollmeter.etl.rollups.deriving.HOURS_PAY_ROWS", 0)
    land(home, [call(DAY + timedelta(hours=hour)) for hour in range(24)])
    roll_up(home)
    spans: list[Any] = []
    within = deriving._within

    def noted(column: str, span: Any) -> str:
        spans.append(span)
        return within(column, span)

    monkeypatch.setattr("tollmeter.etl.rollups.deriving._within", noted)
    land(home, [call(DAY + timedelta(hours=9, minutes=59), input_tokens=7)])
    roll_up(home)
    hour = (datetime(2026, 11, 1, 9), datetime(2026, 11, 1, 10))
    assert {span for span in spans if span} == {hour}
    tables = existing_tables(home)
    hourly = tables["rollup_calls_hourly"].scan().to_arrow().to_pylist()
    assert {row["hour"].hour: row["calls"] for row in hourly} == {h: 1 + (h == 9) for h in range(24)}


def test_hours_that_do_not_add_up_are_not_taken(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollmeter.etl.rollups.deriving.HOURS_PAY_ROWS", 0)
    land(home, [call(DAY + timedelta(hours=hour)) for hour in range(24)])
    tables = open_tables(home, "zstd")
    roll_up(home)
    rolled = tables["rollup_calls_hourly"]
    rolled.refresh()
    rolled.append(rolled.scan().to_arrow().slice(0, 1))  # what no rows say
    land(home, [call(DAY + timedelta(hours=9, minutes=59))])
    roll_up(home)
    rolled.refresh()
    assert sum(rolled.scan().to_arrow()["calls"].to_pylist()) == 25


def test_days_are_those_of_the_reporting_time_zone_and_follow_it(home: Home) -> None:
    land(home, [call(datetime(2026, 11, 1, 20, tzinfo=UTC)), call(datetime(2026, 11, 1, 10, tzinfo=UTC))])
    roll_up(home)
    assert days(home) == [date(2026, 11, 1)]
    roll_up(home, "Asia/Kolkata")
    assert days(home) == [date(2026, 11, 1), date(2026, 11, 2)]


def days(home: Home) -> list[date]:
    return sorted(existing_tables(home)["rollup_spend_daily"].scan().to_arrow()["day"].to_pylist())


def test_a_day_without_rows_any_more_is_gone_unless_its_rows_were_too_old(home: Home) -> None:
    land(home, [call(DAY), call(DAY + timedelta(days=1)), call(DAY + timedelta(days=2))])
    roll_up(home)
    calls = open_tables(home, "zstd")["llm_calls"]
    calls.delete("event_date = '2026-11-02'")
    roll_up(home)
    assert drop_days(calls, date(2026, 11, 2)) == 1
    assert roll_up(home).days == {}
    assert days(home) == [date(2026, 11, 1), date(2026, 11, 3)]


def test_compacted_rows_are_not_aggregated_again(home: Home) -> None:
    for event in EVENTS[:3]:
        land(home, [event])
    roll_up(home)
    settings = Settings.load({}, compact_min_files=2)
    assert [group.outcome for group in compact(home, tables=["llm_calls"], settings=settings).groups] == ["compacted"]
    assert roll_up(home).days == {}
    land(home, EVENTS[3:4])
    roll_up(home)
    tables = existing_tables(home)
    assert sum(tables["rollup_spend_daily"].scan().to_arrow()["calls"].to_pylist()) == 4


def test_what_does_not_add_up_is_not_committed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    land(home, EVENTS[:3])
    real = datafiles.write_files
    monkeypatch.setattr("tollmeter.etl.rollups.deriving.write_files", lambda *given: list(real(*given))[1:])
    with pytest.raises(InvariantError, match=r"rollup_metrics_minute does not add up to its rows in .* 2026-11-01"):
        roll_up(home)
    assert snapshots(home) == dict.fromkeys(ROLLUP_TABLES, 0)


def test_a_derivation_that_was_overtaken_begins_anew(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its reading and its commit another writer lands a row and rolls it up: neither's rows are lost."""
    land(home, EVENTS[:3])
    replace, overtaken = deriving._exchange, list[str]()

    def overtake(table: Any, *rest: Any) -> None:
        if not overtaken:
            overtaken.append("once")
            land(home, EVENTS[3:5])
            roll_up(home)
        replace(table, *rest)

    monkeypatch.setattr("tollmeter.etl.rollups.deriving._exchange", overtake)
    roll_up(home)
    tables = existing_tables(home)
    assert sum(tables["rollup_spend_daily"].scan().to_arrow()["calls"].to_pylist()) == 5
    minutes = tables["rollup_metrics_minute"].scan(row_filter="metric = 'llm.calls'").to_arrow()
    assert sum(minutes["count"].to_pylist()) == 5


def test_a_row_is_in_the_minute_it_was_made_and_says_when_it_arrived(home: Home, tmp_path: Path) -> None:
    land(home, [call(datetime(2026, 11, 1, 10, 5, 59, 999999, tzinfo=UTC))])
    roll_up(home)
    catalog = open_catalog(home)
    rows = catalog.load_table((NAMESPACE, "rollup_metrics_minute")).scan().to_arrow().to_pylist()
    catalog.close()
    assert {(row["minute"], row["arrived_at"]) for row in rows} == {
        (datetime(2026, 11, 1, 10, 5), datetime(2026, 11, 20, 12))
    }
