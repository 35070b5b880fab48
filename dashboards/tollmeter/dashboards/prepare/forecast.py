"""What a month will have cost at its end, and whether its budget will hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from tollmeter.alarms.budgets import Budget
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.statistics.forecast import LEAST_DAYS, MOST_DAYS, forecast
from tollmeter.dashboards.window import Window, day_start, to_local

_DAY: Final = timedelta(days=1)
_MONTH_DAYS: Final = 32


@dataclass(frozen=True, slots=True)
class Outlook:
    """Sums from the first of the month to the end of each day to come, in USD, with a band, and the budget beside.

    Without a forecast `days` is empty, and the sentence says what is known and what is lacking.
    """

    first: date
    last: date
    days: tuple[date, ...] = ()
    expected: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    budget: float | None = None
    budget_name: str = ""
    sentence: str = ""


def history(now: datetime, zone: str) -> Window:
    """The days that a forecast is made from: those of the zone up to now."""
    today = to_local(now, zone).date()
    return Window(day_start(today - MOST_DAYS * _DAY, zone), now, "day", now, zone)


def outlook(spend: Mapping[datetime, Decimal], span: Window, budget: Budget | None = None) -> Outlook:
    """What the month of `span.now` will have cost, from spend by start of a day (UTC) in `span` (see `history`).

    A day without spend is 0. Today is not over: it counts with what it has cost so far, and is forecast with the days
    to come.
    """
    today = span.local(span.now).date()
    first, last = today.replace(day=1), (today.replace(day=1) + _MONTH_DAYS * _DAY).replace(day=1) - _DAY
    daily = {span.local(start).date(): spend.get(start, Decimal(0)) for start in span.starts()}
    full = [float(daily[day]) for day in sorted(daily) if day < today]
    until_today = sum((cost for day, cost in daily.items() if first <= day < today), Decimal(0))
    spent = until_today + daily.get(today, Decimal(0))
    usd, name = _monthly(budget, (last - first).days + 1)
    limit = None if usd is None else float(usd)
    found = forecast(full, (last - today).days + 1)
    if found is None:
        lacking = f"No forecast: it needs {LEAST_DAYS} full days of calls."
        said = f"{formats.money(spent)} so far{_left(spent, usd)}. {lacking}"
        return Outlook(first, last, budget=limit, budget_name=name, sentence=said)
    # No outcome is below what is spent already.
    base, least = float(until_today), float(spent)
    expected, low, high = (
        tuple(max(base + value, least) for value in line) for line in (found.expected, found.low, found.high)
    )
    end, lower, upper = (formats.estimate(line[-1]) for line in (expected, low, high))
    said = (
        f"{formats.money(spent)} so far. Expected by {last:%B} {last.day}: {end}, 80 % between {lower} and"
        f" {upper}{_against(low[-1], expected[-1], high[-1], usd)}."
    )
    days = tuple(today + number * _DAY for number in range(len(expected)))
    return Outlook(first, last, days, expected, low, high, limit, name, said)


def budget_for(budgets: Sequence[Budget], filters: Sequence[tuple[str, tuple[str, ...]]]) -> Budget | None:
    """The budget of just what is filtered by, one of a month before one of a day; None where there is none."""
    asked = {(name, value) for name, values in filters for value in values}
    fitting = [budget for budget in budgets if set(budget.where) == asked]
    return next((one for one in fitting if one.per == "month"), next(iter(fitting), None))


def _monthly(budget: Budget | None, days: int) -> tuple[Decimal | None, str]:
    if budget is None:
        return None, ""
    return budget.usd * (days if budget.per == "day" else 1), budget.name


def _against(low: float, expected: float, high: float, usd: Decimal | None) -> str:
    if usd is None:
        return ""
    budget = float(usd)
    told = formats.money(usd)
    if low > budget:
        return f": above the budget of {told}"
    if high < budget:
        return f": within the budget of {told}"
    likely = "more likely above" if expected > budget else "more likely within"
    return f": {likely} the budget of {told}, but it may go either way"


def _left(spent: Decimal, usd: Decimal | None) -> str:
    if usd is None:
        return ""
    return f", {formats.share(float(spent / usd))} of the budget of {formats.money(usd)}"
