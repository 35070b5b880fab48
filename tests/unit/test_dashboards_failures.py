"""What fails: counts are 0 where nothing failed, rates a gap where nothing was called, budgets may be overspent."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone
from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from tollmeter.dashboards.prepare import failures, objective
from tollmeter.dashboards.prepare.colours import palette
from tollmeter.dashboards.queries.cube import Figures, Sum, Sums
from tollmeter.dashboards.queries.failing import Fallback
from tollmeter.dashboards.window import Window

THREE_DAYS = Window(datetime(2026, 11, 20), datetime(2026, 11, 23), "day", datetime(2026, 11, 25))


def row(day: int, name: str | None = "", **figures: Any) -> Sum:
    return Sum(bucket=datetime(2026, 11, day), name=name, **figures)


def sums(*rows: Sum, found: int = 0) -> Sums:
    return Sums(rows, found or len({row.name for row in rows}), "hours")


def href(value: str) -> str:
    return f"?model={value}"


def test_an_error_budget_is_the_share_of_allowed_failures_that_is_left() -> None:
    served = sums(row(20, requests=1000, request_errors=1), row(22, requests=1000, request_errors=3))
    budget = objective.budget(0.995, served)
    assert (budget.total, budget.failed, round(budget.allowed, 9)) == (2000, 4, 10)
    assert round(budget.left or 0, 9) == 0.6
    assert [round(left, 9) for _, left in objective.left_over_time(0.995, served)] == [0.9, 0.6]


def test_a_budget_can_be_overspent_and_without_requests_there_is_none() -> None:
    assert round(objective.budget(0.9, sums(row(20, requests=10, request_errors=3))).left or 0, 9) == -2
    assert objective.budget(0.9, sums()).left is None
    assert objective.left_over_time(0.9, sums()) == []
    assert objective.budget(1.0, sums(row(20, requests=10))).left is None


def test_rates_are_a_gap_where_nothing_was_called() -> None:
    found = sums(row(20, "a", calls=4, errors=1), row(22, "a", calls=4), row(20, None, calls=9, errors=9), found=12)
    chart = failures.rates_chart(found, THREE_DAYS, palette([]), "model")
    assert [(series.name, series.values) for series in chart.series] == [("a", (0.25, None, 0.0))]
    assert "showing 1 of 12 models, those with most failures" in chart.caption


def test_counts_are_zero_where_nothing_failed_and_absent_where_not_known() -> None:
    chart = failures.served_chart(sums(row(21, request_errors=2, client_disconnects=1)), THREE_DAYS)
    assert [series.values for series in chart.series] == [(0, 2, 0), (0, 1, 0)]
    assert failures.served_chart(sums(row(21, calls=3)), THREE_DAYS).series == ()
    nothing = failures.second_tries_chart(sums(), THREE_DAYS)
    assert {series.name: series.values for series in nothing.series}["429s"] == (0, 0, 0)


def test_headroom_is_the_larger_share_and_providers_that_tell_nothing_are_named() -> None:
    found = sums(
        row(20, "openai", ratelimit_used_requests=0.2, ratelimit_used_tokens=0.7),
        row(20, "gcp.gemini", calls=3),
        row(22, "openai", ratelimit_used_requests=0.4),
    )
    chart = failures.headroom_chart(found, THREE_DAYS, palette([]))
    assert [(series.name, series.values) for series in chart.series] == [("openai", (0.7, None, 0.4))]
    assert chart.caption.endswith("largest share used · gcp.gemini tell nothing")


def test_the_headline_says_what_it_does_not_know() -> None:
    now = Figures(calls=200, errors=3, throttles=2, retries=4, fallbacks=1, partial_calls=1, ratelimit_used_tokens=0.95)
    tiles = {
        tile.id: tile for tile in failures.headline(now, Figures(calls=100, errors=3), objective.Budget(0.9, 0, 0))
    }
    assert (tiles["errors-rate"].value, tiles["errors-rate"].delta, tiles["errors-rate"].tone) == (
        "0.015000", "-50.0 %", "good",
    )  # fmt: skip
    assert (tiles["errors-throttled"].note, tiles["errors-throttled"].warn) == ("limit used: 95.0 %", True)
    assert (tiles["errors-5xx"].text, tiles["errors-5xx"].note) == ("—", "not known under these filters")
    assert tiles["errors-budget"].text == "—"


def test_fallbacks_tell_who_stood_in_for_whom_and_how_often_in_vain() -> None:
    rows = failures.fallback_rows([Fallback("gpt-4o", "claude", "anthropic", 4, 1, Decimal("0.5"))], href)
    assert (rows[0]["origin"], rows[0]["name"], rows[0]["failed"], rows[0]["cost_text"]) == (
        "gpt-4o", "claude", 0.25, "$0.5000",
    )  # fmt: skip
