"""Every query file: its header tells the truth, and its figures are right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from hand_lake import LANDED, call, land, request, roll_up
from sqlglot import exp

from tollmeter.model.events import LlmCall
from tollmeter.model.home import Home
from tollmeter.model.metrics import metric
from tollmeter.sql.engine import Engine, open_engine
from tollmeter.sql.named import load, names

DAY = datetime(2026, 11, 1, tzinfo=UTC)
SPAN: dict[str, Any] = {"since": "2026-11-01", "until": "2026-11-03"}
_TYPES = {
    "timestamp[us]": "timestamp",
    "date32[day]": "date",
    "int64": "bigint",
    "double": "double",
    "string": "varchar",
    "bool": "boolean",
    "decimal128(38, 12)": "decimal(38,12)",
    "decimal128(18, 12)": "decimal(18,12)",
}


def calls() -> list[LlmCall]:
    """Two days, two models, two tenants, one unpriced call, two errors and one abandoned stream."""
    usd = Decimal
    return [
        call(DAY + timedelta(hours=1), response_model="gpt-4o-1", tenant_id="acme", route="/chat", request_id="r1",
             input_tokens=100, output_tokens=10, cache_read_tokens=40, latency_ms=100.0, ttft_ms=10.0,
             cost_usd=usd("0.000000000001"), cost_status="priced"),
        call(DAY + timedelta(hours=1, seconds=30), tenant_id="acme", input_tokens=50, latency_ms=200.0, status="error",
             error_type="RateLimitError", http_status=429, request_id="r2"),
        call(DAY + timedelta(hours=2), response_model="gpt-4o-1", tenant_id="zeta", input_tokens=1, output_tokens=1,
             latency_ms=300.0, ttft_ms=30.0, cost_usd=usd("0.1"), cost_status="priced", status="partial"),
        call(DAY + timedelta(days=1), response_model="other", input_tokens=9, output_tokens=1, latency_ms=400.0,
             cost_usd=usd("2"), cost_status="priced", request_id="r3"),
        call(DAY + timedelta(days=1, hours=1), response_model="other", latency_ms=500.0, status="error",
             error_type="APITimeoutError"),
        call(DAY + timedelta(days=2), response_model="other", cost_usd=usd("99"), cost_status="priced"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = Home(tmp_path_factory.mktemp("lake") / "home")
    land(home, calls())
    land(
        home,
        [
            request(DAY + timedelta(hours=1, seconds=index), request_id=f"r{index}", duration_ms=float(index))
            for index in range(1, 101)
        ],
    )
    roll_up(home)
    with open_engine("duckdb", home) as opened:
        yield opened


def given(name: str) -> dict[str, Any]:
    known = {"since": DAY, "until": DAY, "year": 2026, "month": 11} | dict.fromkeys(
        ("call", "calls", "request", "service", "session", "tenant", "subject"), "x"
    )
    return {one.name: known[one.name] for one in load(name).parameters if one.default is None}


@pytest.mark.parametrize("name", names())
def test_header_names_the_columns_that_come_back(engine: Engine, name: str) -> None:
    columns = load(name).columns
    found = engine.query(name, **given(name)).schema
    assert [one.name for one in columns] == found.names
    typed = {one.name: one.type for one in columns if one.type}
    assert typed == {field.name: _TYPES[str(field.type)] for field in found if field.name in typed}


@pytest.mark.parametrize("name", names())
def test_text_is_redshifts_and_takes_just_the_parameters_of_its_header(name: str) -> None:
    query = load(name)
    tree = sqlglot.parse_one(query.sql, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
    used = {found.name for found in tree.find_all(exp.Placeholder)}
    assert used == {one.name for one in query.parameters}


def test_calls_of_a_month_by_model(engine: Engine) -> None:
    rows = engine.query("raw_requests_by_month", year=2026, month=11).to_pylist()
    assert [tuple(row.values()) for row in rows] == [("other", 3), ("gpt-4o-1", 2), ("gpt-4o", 1)]
    assert engine.query("raw_requests_by_month", year=2026, month=10).num_rows == 0


def test_cost_by_day_and_model_counts_the_unpriced(engine: Engine) -> None:
    rows = engine.query("cost_by_day_model", **SPAN).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (date(2026, 11, 2), "other", 2, Decimal("2.000000000000"), 9, 1, 0, 1),
        (date(2026, 11, 1), "gpt-4o", 1, None, 50, 0, 0, 1),
        (date(2026, 11, 1), "gpt-4o-1", 2, Decimal("0.100000000001"), 101, 11, 40, 0),
    ]


def test_a_model_filter_takes_whole_names(engine: Engine) -> None:
    def models(chosen: str) -> list[str]:
        return [row["model"] for row in engine.query("cost_by_day_model", **SPAN, model=chosen).to_pylist()]

    assert models("gpt-4o") == ["gpt-4o"]
    assert models("other,gpt-4o-1") == ["other", "gpt-4o-1"]
    assert models("gpt-4") == []
    assert models("' OR 1=1 --") == []


def test_latency_percentiles_by_route_and_hour(engine: Engine) -> None:
    (row,) = engine.query("latency_by_route_hour", **SPAN).to_pylist()
    assert (row["route"], row["requests"]) == ("/chat", 100)
    assert (row["p50_ms"], row["p95_ms"], row["p99_ms"]) == pytest.approx((50, 95, 99), rel=0.01)


def test_the_sources_query_has_the_newest_day_first(engine: Engine) -> None:
    rows = engine.query("llm_requests_by_model_day", **SPAN).to_pylist()
    assert [(row["day"].day, row["model"], row["requests"], row["tokens"], row["avg_latency_ms"]) for row in rows] == [
        (2, "other", 2, 10, 450.0),
        (1, "gpt-4o-1", 2, 112, 200.0),
        (1, "gpt-4o", 1, 50, 200.0),
    ]


def test_spend_by_tenant_has_the_dearest_first_and_the_unknown_last(engine: Engine) -> None:
    rows = engine.query("spend_by_tenant", since="2026-11-01", until="2026-11-02").to_pylist()
    assert [(row["tenant_id"], row["cost_usd"], row["unpriced_calls"]) for row in rows] == [
        ("zeta", Decimal("0.100000000000"), 0),
        ("acme", Decimal("0.000000000001"), 1),
    ]


def test_errors_by_type(engine: Engine) -> None:
    rows = engine.query("errors_by_type", **SPAN).to_pylist()
    assert [(row["error_type"], row["errors"]) for row in rows] == [("APITimeoutError", 1), ("RateLimitError", 1)]
    assert engine.query("errors_by_type", **SPAN, limit=1).num_rows == 1


def test_recent_calls_are_newest_first(engine: Engine) -> None:
    rows = engine.query("calls_recent", **SPAN, limit=2).to_pylist()
    assert [(row["created_at"].hour, row["status"], row["cost_usd"]) for row in rows] == [
        (1, "error", None),
        (0, "ok", Decimal("2.000000000000")),
    ]


def test_overview_is_one_row_even_of_nothing(engine: Engine) -> None:
    (row,) = engine.query("overview", **SPAN).to_pylist()
    assert row["spend_usd"] == Decimal("2.100000000001")
    assert (row["requests"], row["calls"], row["errors"], row["unpriced_calls"]) == (100, 5, 2, 2)
    assert (row["input_tokens"], row["output_tokens"], row["error_rate"]) == (160, 12, 0.4)
    assert (row["p95_latency_ms"], row["p95_ttft_ms"]) == pytest.approx((500, 30), rel=0.01)
    (filtered,) = engine.query("overview", **SPAN, model="gpt-4o,gpt-4o-1").to_pylist()
    assert (filtered["requests"], filtered["calls"]) == (2, 3)
    (nothing,) = engine.query("overview", since="2020-01-01", until="2020-01-02").to_pylist()
    assert (nothing["spend_usd"], nothing["calls"], nothing["error_rate"], nothing["input_tokens"]) == (
        None,
        0,
        None,
        0,
    )


def test_minutes_agree_with_the_metric_registry(engine: Engine) -> None:
    rows = engine.query("minute_counts", **SPAN).to_pylist()
    known = {"calls": "llm.calls", "errors": "llm.errors", "throttles": "llm.throttles", "partial_calls": "llm.partial",
             "unpriced_calls": "llm.unpriced_calls"}  # fmt: skip
    inside = [one for one in calls() if one.timestamp < DAY + timedelta(days=2)]
    for column, name in known.items():
        assert sum(row[column] for row in rows) == sum(metric(name).contribution(one) or 0 for one in inside), name
    assert rows[0]["minute"] == datetime(2026, 11, 1, 1)  # noqa: DTZ001
    assert (rows[0]["calls"], rows[0]["errors"], rows[0]["arrived_at"]) == (2, 1, LANDED)
    assert engine.query("minute_counts", **SPAN, service="nobody").num_rows == 0
    assert engine.query("minute_counts", **SPAN, service="chat", environment="test").num_rows == 4
