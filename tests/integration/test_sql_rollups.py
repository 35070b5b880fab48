"""Queries over rollups say what the same question says of rows, whatever the span."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hand_lake import call, land, request, roll_up

from tollmeter.model.home import Home
from tollmeter.sql.engine import Engine, open_engine

START = datetime(2026, 11, 1, tzinfo=UTC)
MODELS = ("a", "b", "c")
_RAW = """
    SELECT SUM(cost_usd) AS spend_usd, COUNT(*) AS calls,
        CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
        CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
        CAST(COALESCE(SUM(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
        CAST(COALESCE(SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END), 0) AS BIGINT) AS errors,
        CAST(COALESCE(SUM(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS unpriced_calls,
        PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_latency_ms
    FROM llm_requests WHERE created_at >= :since AND created_at < :until
        AND (:model = '' OR STRPOS(',' || :model || ',', ',' || model || ',') > 0)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home, chance = Home(tmp_path_factory.mktemp("lake") / "home"), random.Random(20261124)
    moments = [START + timedelta(seconds=chance.uniform(0, 3 * 86_400)) for _ in range(3000)]
    land(home, [_call(moment, number, chance) for number, moment in enumerate(moments)])
    land(home, [request(moment, request_id=f"r{number}") for number, moment in enumerate(moments[::2])])
    roll_up(home, "Asia/Tokyo")
    with open_engine("duckdb", home) as opened:
        yield opened


def _call(moment: datetime, number: int, chance: random.Random) -> Any:
    priced = chance.random() < 0.8
    return call(
        moment,
        request_model=chance.choice(MODELS),
        request_id=f"r{number // 2}",
        tenant_id=chance.choice("xyz"),
        session_id=f"s{number % 40}",
        status=chance.choice(["ok", "ok", "error"]),
        input_tokens=chance.randrange(5000),
        output_tokens=chance.choice([None, 7, 90]),
        cache_read_tokens=chance.choice([None, 64]),
        latency_ms=chance.lognormvariate(6, 1),
        cost_usd=Decimal(chance.randrange(10**9)) / 10**12 if priced else None,
    )


SPANS = [
    (datetime(2026, 11, 1), datetime(2026, 11, 4)),
    (datetime(2026, 11, 1, 0, 1), datetime(2026, 11, 3, 23, 59)),
    (datetime(2026, 11, 1, 23, 17), datetime(2026, 11, 2, 0, 43)),
    (datetime(2026, 11, 2, 5, 10), datetime(2026, 11, 2, 5, 50)),
    (datetime(2026, 11, 2, 5, 10), datetime(2026, 11, 2, 6)),
    (datetime(2026, 11, 2, 5), datetime(2026, 11, 2, 6, 1)),
    (datetime(2026, 11, 2, 5, 59), datetime(2026, 11, 2, 6, 1)),
    (datetime(2026, 11, 2, 5), datetime(2026, 11, 2, 5)),
]


@pytest.mark.parametrize("model", ["", "b", "c,a"])
@pytest.mark.parametrize("span", SPANS, ids=str)
def test_the_headline_numbers_of_any_span_of_minutes(engine: Engine, span: tuple[datetime, ...], model: str) -> None:
    given = {"since": span[0], "until": span[1], "model": model}
    (raw,) = engine.execute(_RAW, given).to_pylist()
    (found,) = engine.query("overview", **given).to_pylist()
    p95 = raw.pop("p95_latency_ms")
    assert {name: found[name] for name in raw} == raw
    assert found["p95_latency_ms"] == (p95 and pytest.approx(p95, rel=0.01))
    days = engine.query("cost_by_day_model", **given).to_pylist()
    assert sum(row["calls"] for row in days) == raw["calls"]
    assert sum(row["cost_usd"] or 0 for row in days) == (raw["spend_usd"] or 0)
    assert sum(row["unpriced_calls"] for row in days) == raw["unpriced_calls"]


def test_requests_are_all_or_those_that_called_a_model(engine: Engine) -> None:
    given: dict[str, Any] = {"since": START, "until": START + timedelta(days=3)}
    assert engine.query("overview", **given).to_pylist()[0]["requests"] == 1500
    sql = "SELECT COUNT(DISTINCT request_id) AS n FROM llm_requests WHERE model = 'b'"
    callers = engine.execute(sql).to_pylist()[0]["n"]
    assert engine.query("overview", **given, model="b").to_pylist()[0]["requests"] == callers


def test_spend_by_day_of_the_reporting_time_zone(engine: Engine) -> None:
    rows = engine.query("spend_by_day", since="2026-11-01", until="2026-11-04", by="tenant").to_pylist()
    raw = engine.execute(
        "SELECT tenant_id, SUM(cost_usd) AS usd, COUNT(*) AS n FROM llm_requests GROUP BY 1"
    ).to_pylist()
    for tenant in raw:
        mine = [row for row in rows if row["name"] == tenant["tenant_id"]]
        assert sum(row["cost_usd"] for row in mine) == tenant["usd"]
        assert sum(row["calls"] for row in mine) == tenant["n"]
    assert rows[0]["day"] == date(2026, 11, 4)  # the evening of the 3rd, in Tokyo
    nine_hours = engine.execute(
        "SELECT COUNT(*) AS n FROM llm_requests WHERE created_at < TIMESTAMP '2026-11-01 15:00'"
    )
    assert sum(row["calls"] for row in rows if row["day"] == date(2026, 11, 1)) == nine_hours.to_pylist()[0]["n"]
    assert {row["name"] for row in engine.query("spend_by_day", since="2026-11-01", by="model").to_pylist()} == set(
        MODELS
    )


def test_the_dearest_sessions(engine: Engine) -> None:
    rows = engine.query("dearest_sessions", since="2026-11-01", until="2026-11-04", limit=3).to_pylist()
    land_rows = engine.execute(
        "SELECT session_id, SUM(cost_usd) AS usd FROM llm_calls GROUP BY 1 ORDER BY 2 DESC LIMIT 3"
    ).to_pylist()
    assert [(row["session_id"], row["cost_usd"]) for row in rows] == [tuple(row.values()) for row in land_rows]


def test_a_metric_by_minute_as_it_was_known(engine: Engine) -> None:
    given: dict[str, Any] = {"since": START, "until": START + timedelta(days=3)}
    rows = engine.query("metric_by_minute", **given, metric="llm.input_tokens").to_pylist()
    total = engine.execute("SELECT SUM(input_tokens) AS n FROM llm_requests").to_pylist()[0]["n"]
    assert sum(row["total"] for row in rows) == total
    assert engine.query("metric_by_minute", **given, known_at="2026-11-20T11:59").num_rows == 0
    samples = engine.query("metric_by_minute", **given, metric="llm.latency_ms").to_pylist()
    assert sum(row["events"] for row in samples) == 3000
    assert all(row["log_bucket"] is not None for row in samples)
