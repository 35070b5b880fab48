"""What the dashboard asks of a real lake, and when it asks again."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tollmeter.dashboards import callbacks
from tollmeter.dashboards.filters import Selection, window, with_days
from tollmeter.dashboards.queries import Lake
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


def test_a_board_adds_up_and_the_period_before_stands_beside_it(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=400, hours=40 * 24)
    span = window(Selection(range="7d"), NOW)
    board = Lake(home).board(Selection(range="7d"), span)
    inside = [row for row in rows if span.start <= row["timestamp"] < span.end]
    earlier = [row for row in rows if span.start - (span.end - span.start) <= row["timestamp"] < span.start]
    assert board.now.spend == sum(row["cost_usd"] or Decimal(0) for row in inside)
    assert board.before.spend == sum(row["cost_usd"] or Decimal(0) for row in earlier)
    assert (board.now.calls, board.now.requests) == (len(inside), len(inside))
    assert board.now.cache_read_tokens == sum(row["cache_read_tokens"] for row in inside)
    assert board.now.unpriced_calls == sum(row["cost_usd"] is None for row in inside)
    assert sum(item.cost or 0 for item in board.spend) == board.now.spend
    assert sum(item.calls for item in board.latency) == len(inside)
    assert board.extent.last == rows[0]["timestamp"]
    assert board.simulated == ()


@pytest.mark.parametrize("preset", ["1h", "24h", "30d"])
def test_every_row_of_a_query_falls_into_a_bucket_of_the_window(home: Home, preset: str) -> None:
    lakes.fill(home, NOW, calls=300, hours=28 * 24)
    span = window(Selection(range=preset), NOW)
    board = Lake(home).board(Selection(range=preset), span)
    assert {item.bucket for item in board.spend} <= set(span.starts())
    assert {item.bucket for item in board.latency} <= set(span.starts())


def test_a_model_filter_narrows_calls_and_requests_alike(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=200, hours=48)
    chosen = Selection(models=("gpt-4o", "house-model"))
    board = Lake(home).board(chosen, window(chosen, NOW))
    wanted = [row for row in rows if row["request_model"] in chosen.models]
    assert (board.now.calls, board.now.requests) == (len(wanted), len(wanted))
    assert {call.model for call in board.calls} == set(chosen.models)
    assert len(board.extent.models) == 4


def test_the_same_question_is_answered_from_memory_until_the_lake_changes(home: Home) -> None:
    lakes.fill(home, NOW, calls=10, hours=1)
    lake, span = Lake(home), window(Selection(), NOW)
    first = lake.board(Selection(), span)
    assert lake.board(Selection(), span) is first
    lakes.fill(home, NOW, calls=5, hours=1, simulated=True)
    second = lake.board(Selection(), span)
    assert (first.now.calls, second.now.calls) == (10, 15)
    assert second.simulated == ("model", "route", "latency_ms")


def test_an_empty_lake_and_an_empty_period_are_told_apart(home: Home) -> None:
    lake = Lake(home)
    span = window(Selection(), NOW)
    assert lake.board(Selection(), span).extent.last is None
    lakes.fill(home, NOW, calls=10, hours=1)
    past = with_days(Selection(), "2026-01-01", "2026-01-02")
    board = lake.board(past, window(past, NOW))
    assert (board.now.calls, board.now.spend, board.now.p95_latency_ms) == (0, None, None)
    assert board.extent.first
    assert board.extent.first.date() == date(2026, 11, 23)


def test_the_page_of_an_old_lake_hides_the_board_and_links_to_its_days(home: Home) -> None:
    lakes.fill(home, NOW - timedelta(days=900), calls=10, hours=1)
    notice, style, *_ = callbacks.show(Lake(home), "")
    assert style == {"display": "none"}
    assert "from=2024-06-06&to=2024-06-06" in str(notice)
