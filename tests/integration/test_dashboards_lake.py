"""What the dashboard asks of a real lake, and when it asks again."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tollmeter.dashboards.access import LOCAL
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries import overview as queries
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import previous, window
from tollmeter.model.home import Home

NOW = datetime(2026, 11, 23, 10, 37)


def _lakes() -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location("lakes", Path(__file__).parents[1] / "browser" / "lakes.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _lakes()


def test_the_numbers_add_up_and_the_period_before_stands_beside_them(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=400, hours=40 * 24)
    week = Selection(range="7d")
    span = window(week, NOW)
    lake, before = Lake(home), previous(span, week)
    now, then = queries.summary(lake, LOCAL, week, span), queries.summary(lake, LOCAL, week, before)
    inside = [row for row in rows if span.start <= row["timestamp"] < span.end]
    earlier = [row for row in rows if before.start <= row["timestamp"] < before.end]
    assert now.spend == sum(row["cost_usd"] or Decimal(0) for row in inside)
    assert then.spend == sum(row["cost_usd"] or Decimal(0) for row in earlier)
    assert (now.calls, now.requests) == (len(inside), len(inside))
    assert now.cache_read_tokens == sum(row["cache_read_tokens"] for row in inside)
    assert now.unpriced_calls == sum(row["cost_usd"] is None for row in inside)
    assert sum(item.cost or 0 for item in queries.spend(lake, LOCAL, week, span)) == now.spend
    assert sum(item.calls for item in queries.latency(lake, LOCAL, week, span)) == len(inside)
    assert queries.extent(lake, LOCAL).last == rows[0]["timestamp"]
    assert queries.simulated(lake, LOCAL, span) == ()


@pytest.mark.parametrize("preset", ["1h", "24h", "30d"])
def test_every_row_of_a_query_falls_into_a_bucket_of_the_window(home: Home, preset: str) -> None:
    lakes.fill(home, NOW, calls=300, hours=28 * 24)
    selection = Selection(range=preset)
    span, lake = window(selection, NOW), Lake(home)
    assert {item.bucket for item in queries.spend(lake, LOCAL, selection, span)} <= set(span.starts())
    assert {item.bucket for item in queries.latency(lake, LOCAL, selection, span)} <= set(span.starts())


def test_a_model_filter_narrows_calls_and_requests_alike(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=200, hours=48)
    chosen = Selection().with_filter("model", ("gpt-4o", "house-model"))
    lake = Lake(home)
    found = queries.summary(lake, LOCAL, chosen, window(chosen, NOW))
    wanted = [row for row in rows if row["request_model"] in chosen.values("model")]
    assert (found.calls, found.requests) == (len(wanted), len(wanted))
    assert len(queries.values(lake, LOCAL, "model")) == 4


def test_an_empty_lake_and_an_empty_period_are_told_apart(home: Home) -> None:
    lake = Lake(home)
    assert queries.extent(lake, LOCAL).last is None
    lakes.fill(home, NOW, calls=10, hours=1)
    past = Selection().with_days(date(2026, 1, 1), date(2026, 1, 2))
    found = queries.summary(lake, LOCAL, past, window(past, NOW))
    assert (found.calls, found.spend, found.p95_latency_ms) == (0, None, None)
    first = queries.extent(lake, LOCAL).first
    assert first
    assert first.date() == date(2026, 11, 23)
