"""Forecast, anomalies and what happened: on histories whose truth is known, and in words that claim no more."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from tollmeter.alarms.budgets import Budget
from tollmeter.cli.simulator.almanac import spike_on
from tollmeter.cli.simulator.history import Plan, day_events
from tollmeter.dashboards.figures.base import layout
from tollmeter.dashboards.figures.forecast import with_forecast
from tollmeter.dashboards.figures.overlays import annotated, marked
from tollmeter.dashboards.prepare.annotations import Annotation, deployments, happened, price_changes
from tollmeter.dashboards.prepare.anomalies import Mark, marks
from tollmeter.dashboards.prepare.anomalies import history as history_of
from tollmeter.dashboards.prepare.forecast import budget_for, history, outlook
from tollmeter.dashboards.queries.changes import Seen
from tollmeter.dashboards.statistics.anomalies import anomalies
from tollmeter.dashboards.statistics.forecast import forecast
from tollmeter.dashboards.window import Window, day_start
from tollmeter.model.events import LlmCall

WEEK = (120.0, 130.0, 128.0, 125.0, 118.0, 40.0, 35.0)
NOW = datetime(2026, 11, 21, 9, 30)


def noisy(days: int, seed: int = 1, level: Callable[[int], float] = lambda _: 1.0) -> list[float]:
    """Days of a week's rhythm, a tenth of noise each."""
    rng = Random(seed)
    return [WEEK[day % 7] * level(day) * rng.lognormvariate(0, 0.1) for day in range(days)]


def test_a_week_to_come_is_the_weeks_that_were() -> None:
    found = forecast(noisy(63), 7)
    assert found
    assert found.expected[-1] == pytest.approx(sum(WEEK), rel=0.06)
    assert found.low[-1] < sum(WEEK) < found.high[-1]
    assert list(found.expected) == sorted(found.expected)
    # Saturday and Sunday add least.
    assert found.expected[6] - found.expected[4] < found.expected[0]


def test_the_band_holds_four_of_five_outcomes() -> None:
    held = 0
    for seed in range(15):
        days = noisy(70, seed)
        found = forecast(days[:56], 14)
        assert found
        held += found.low[-1] <= sum(days[56:]) <= found.high[-1]
    assert held >= 11  # widened for levels that move, it holds more of those that do not


@pytest.mark.parametrize(
    "days", [[], [1.0] * 13, [0.0] * 60, [0.0] * 50 + [1.0] * 13], ids=["none", "thin", "nothing spent", "just begun"]
)
def test_thin_data_have_no_forecast(days: list[float]) -> None:
    assert forecast(days, 5) is None


def test_a_flat_history_has_a_forecast_and_no_failure() -> None:
    found = forecast([3.0] * 14, 2)
    assert found
    assert found.expected[-1] == pytest.approx(6.0, rel=0.01)


def _spend(zone: str = "UTC", days: int = 60, seed: int = 1) -> tuple[dict[datetime, Decimal], Window]:
    span = history(NOW, zone)
    starts = span.starts()[-days:]
    return {start: Decimal(str(round(value, 6))) for start, value in zip(starts, noisy(days, seed), strict=True)}, span


def test_the_month_says_what_is_spent_what_is_expected_and_whether_the_budget_holds() -> None:
    spend, span = _spend("Asia/Kolkata")
    found = outlook(spend, span, Budget("all", Decimal(9000), "month"))
    assert (found.first, found.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert (found.days[0], found.days[-1], len(found.days)) == (date(2026, 11, 21), date(2026, 11, 30), 10)
    spent = sum(cost for start, cost in spend.items() if span.local(start).date() >= found.first)
    assert found.sentence.startswith(f"${spent:,.2f} so far. Expected by November 30: $")
    assert found.sentence.endswith("within the budget of $9,000.00.")
    assert min(found.low) >= float(spent)
    assert "above the budget of $10.00" in outlook(spend, span, Budget("all", Decimal(10), "month")).sentence
    middle = Budget("all", Decimal(str(round(found.expected[-1] / 30, 2))), "day")
    assert "it may go either way" in outlook(spend, span, middle).sentence


def test_a_month_of_thin_data_tells_the_share_of_the_budget_and_the_rule() -> None:
    spend, span = _spend(days=9)
    found = outlook(spend, span, Budget("all", Decimal(1000), "month"))
    assert found.days == ()
    assert found.sentence.endswith("of the budget of $1,000.00. No forecast: it needs 14 full days of calls.")
    figure = with_forecast({"data": [], "layout": layout()}, found)
    assert [trace["name"] for trace in figure["data"]] == ["budget all"]


def test_the_budget_is_that_of_just_what_is_filtered_by() -> None:
    whole, daily = Budget("all", Decimal(9), "month"), Budget("day", Decimal(1), "day")
    team = Budget("team", Decimal(3), "day", (("team", "ml"),))
    assert budget_for((team, daily, whole), ()) is whole
    assert budget_for((whole, team), (("team", ("ml",)),)) is team
    assert budget_for((whole, team), (("team", ("ml", "web")),)) is None
    assert budget_for((), ()) is None


def test_a_spike_is_told_with_what_was_expected() -> None:
    days = noisy(60)
    days[52] = 400.0
    [found] = anomalies(days, "day", 0.1)
    assert (found.place, found.actual) == (52, 400.0)
    assert found.expected == pytest.approx(WEEK[52 % 7], rel=0.2)
    assert found.high < 400.0


def test_an_hour_out_of_rhythm_is_found_and_the_rhythm_is_not() -> None:
    rng = Random(2)
    hours = [
        (5 + 20 * (8 <= hour % 24 < 20)) * (0.4 if hour // 24 % 7 > 4 else 1.0) * rng.lognormvariate(0, 0.1)
        for hour in range(28 * 24)
    ]
    hours[600] *= 6
    assert [one.place for one in anomalies(hours, "hour", 0.1)] == [600]


def test_what_is_small_thin_or_flat_is_not_unusual() -> None:
    days = noisy(60)
    days[52] *= 1.25
    assert anomalies(days, "day", 0.1) == ()
    pennies = [value / 10_000 for value in noisy(60)]
    pennies[52] *= 5
    assert anomalies(pennies, "day", 0.1) == ()
    assert anomalies([1.0] * 27 + [500.0], "day", 0.1) != ()
    assert anomalies([1.0] * 26 + [500.0], "day", 0.1) == ()
    assert anomalies([0.0] * 60, "day", 0.1) == ()


def test_the_simulators_spikes_are_marked_on_the_day_they_come() -> None:
    plan, first = Plan(rows=1500, seed=3), date(2026, 5, 4)
    days = [first + timedelta(days=number) for number in range(70)]
    spend = [
        sum(float(event.cost_usd or 0) for event in day_events(plan, day)
            if isinstance(event, LlmCall) and event.tenant_id == "globex")
        for day in days
    ]  # fmt: skip
    spikes = {place for place, day in enumerate(days) if spike_on(day, 3) and place >= 40}
    found = {
        place for place in range(40, len(days))
        if any(one.place == place for one in anomalies(spend[: place + 1], "day", 0.05))
    }  # fmt: skip
    assert spikes
    assert spikes <= found
    assert len(found - spikes) <= 2  # in four weeks


def test_marks_are_those_of_the_window_and_the_filling_bucket_is_not_judged() -> None:
    span = Window(day_start(date(2026, 11, 1), "UTC"), NOW + timedelta(minutes=1), "day", NOW)
    long = history_of(span)
    assert long
    starts = long.starts()
    values = {start: Decimal(str(value)) for start, value in zip(starts, noisy(len(starts)), strict=True)}
    values[datetime(2026, 11, 10)] = Decimal(900)
    values[datetime(2026, 10, 20)] = Decimal(900)
    values[datetime(2026, 11, 21)] = Decimal(900)
    [mark] = marks(values, long, span, 0.1)
    assert (mark.start, mark.actual) == (datetime(2026, 11, 10), 900.0)
    assert mark.text.startswith("$900.00, expected $1")
    assert history_of(Window(span.start, span.end, "minute", NOW)) is None


def seen(version: str, at: datetime, *, service: str = "api", price_ref: str = "", model: str = "m") -> Seen:
    return Seen(service, "production", version, model, price_ref, at)


def test_a_deployment_is_a_version_that_was_not_there_before() -> None:
    day = timedelta(days=1)
    found = deployments(
        [seen("1", NOW - 9 * day), seen("2", NOW - 5 * day, model="n"), seen("2", NOW - 4 * day), seen("", NOW),
         seen("7", NOW - day, service="jobs"), seen("1.5", NOW - 8 * day)],
        NOW - 7 * day,
    )  # fmt: skip
    assert found == [Annotation(NOW - 5 * day, "deployment", "api (production) 2")]


def test_a_price_changes_by_its_day_not_by_release_tier_or_version() -> None:
    refs = ("genai-prices 0.2.3 openai/o3", "genai-prices 0.3.0 openai/o3", "genai-prices 0.3.0 openai/o3 flex",
            "genai-prices 0.3.0 openai/o3 2026-11-20")  # fmt: skip
    rows = [seen("1", NOW - timedelta(hours=9 - hour), price_ref=ref) for hour, ref in enumerate(refs)]
    found = price_changes(rows, NOW - timedelta(days=1))
    assert [one.text for one in found] == ["price of m: genai-prices openai/o3 2026-11-20"]


def test_lines_of_one_bucket_are_one_and_alarms_may_join() -> None:
    span = Window(day_start(date(2026, 11, 1), "UTC"), NOW, "day", NOW)
    rows = [seen("1", NOW - timedelta(days=40), service=name) for name in "abcdef"]
    rows += [seen("2", NOW - timedelta(days=3, minutes=minute), service=name) for minute, name in enumerate("abcdef")]
    alarm = Annotation(NOW - timedelta(days=1), "alarm", "spend <b>")
    found = happened(rows, span, [alarm, Annotation(span.start - timedelta(days=1), "alarm", "earlier")])
    assert [one.kind for one in found] == ["deployment", "alarm"]
    assert found[0].text.endswith("and 2 more")
    figure = annotated({"data": [], "layout": layout()}, found, span)
    assert len(figure["layout"]["shapes"]) == 2
    assert figure["data"][0]["customdata"][1] == "Alarm: spend &lt;b>"
    untouched = {"data": [], "layout": layout()}
    assert annotated(untouched, (), span) is untouched
    assert marked(untouched, ()) is untouched
    assert marked(untouched, [Mark(NOW, 3.0, "$3")], 0.5)["data"][0]["y"] == [1.5]
