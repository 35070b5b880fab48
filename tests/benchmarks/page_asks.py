"""What the dashboard's pages ask, by page: of a month beside the month before, of a week, a day and an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tollmeter.dashboards.access.viewer import LOCAL
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries import cube, seen, spending, steps, unit_costs
from tollmeter.dashboards.queries.cube import Ask
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import previous, window
from tollmeter.model.derived import METRIC_TTFT
from tollmeter.sql.engine import Engine

Question = Callable[[], object]

OVERVIEW = "Overview"
RAW_DAY = "One day's rows"
IN_ROWS = "A month's rows"
_TENANT = (("tenant", ("tenant-3",)),)
_ROUTE = (("route", ("/service-3/1",)),)
_ANY_REGION = (("region", ("",)),)
"""Holds for every call, and no rollup has it."""


class Direct(Lake):
    """The lake of an engine that keeps no answers."""

    def __init__(self, engine: Engine) -> None:
        self._asked_of = engine

    def rows(self, _viewer: Any, name: str, /, **params: Any) -> list[dict[str, Any]]:
        """The rows of a named query."""
        found: list[dict[str, Any]] = self._asked_of.query(name, **params).to_pylist()
        return found


def questions(engine: Engine, now: datetime) -> dict[str, dict[str, Question]]:
    """Questions by page and name, at a moment (UTC)."""
    lake = Direct(engine)
    chosen = Selection(range="30d")
    month = Ask(window(chosen, now), LOCAL, top=9)
    before = replace(month, window=previous(month.window, chosen))
    week, day, hour = (replace(month, window=window(Selection(range=name), now)) for name in ("7d", "24h", "1h"))

    def sums(ask: Ask, group: str = "", **more: Any) -> Question:
        return lambda: cube.sums(lake, replace(ask, group=group, **more))

    def quantiles(ask: Ask, group: str = "", metric: str = "llm.latency_ms", **more: Any) -> Question:
        return lambda: cube.quantiles(lake, replace(ask, group=group, **more), metric)

    return {
        OVERVIEW: {
            "total": lambda: cube.total(lake, month),
            "total of the month before": lambda: cube.total(lake, before),
            "by model and day": sums(month, "model"),
            "p95 of latency": quantiles(month, bucket="all"),
            "latency by day": quantiles(month),
            "errors by type and day": sums(month, "error_type", rank="errors"),
            "last week by model and hour": sums(week, "model"),
            "last day by model and hour": sums(day, "model"),
            "how far the lake reaches": lambda: seen.extent(lake, LOCAL),
            "models by first call": lambda: seen.in_order_of_appearance(lake, LOCAL, "model"),
        },
        "Cost": {
            "by tenant and day": sums(month, "tenant"),
            "by team and feature's tenant": sums(month, "team", filters=_TENANT, bucket="all"),
            "by prompt version": sums(month, "prompt_version", bucket="all"),
            "by user": sums(month, "user", bucket="all"),
            "cost per user and session": lambda: unit_costs.unit_counts(lake, month),
        },
        "Latency": {
            "by model and day": quantiles(month, "model"),
            "by route": quantiles(month, "route", bucket="all"),
            "first token by day, one route": quantiles(month, metric=METRIC_TTFT, filters=_ROUTE),
            "heat map": lambda: steps.steps(lake, month),
            "last week by hour": quantiles(week),
        },
        "Errors": {"by status and day": sums(month, "status"), "by error and hour": sums(week, "error_type")},
        "Why did it change": {
            "cells by team": lambda: spending.spending(lake, LOCAL, month.window, "team", ()),
            "cells by team, before": lambda: spending.spending(lake, LOCAL, before.window, "team", ()),
        },
        "Menus": {
            "models": sums(month, "model", bucket="all", top=100, rank="calls"),
            "tenants with 77": sums(month, "tenant", bucket="all", top=100, rank="calls", search="77"),
        },
        RAW_DAY: {
            "by tenant and hour": sums(day, "tenant"),
            "by version": sums(day, "version", bucket="all"),
            "one tenant by model": sums(day, "model", filters=_TENANT),
            "latency by tenant": quantiles(day, "tenant", bucket="all"),
            "last hour by model and minute": sums(hour, "model"),
            "newest calls": lambda: lake.rows(
                LOCAL, "calls_page", since=day.window.start, until=day.window.end, limit=50
            ),
        },
        IN_ROWS: {
            "total": lambda: cube.total(lake, replace(month, filters=_ANY_REGION)),
            "by model and day": sums(month, "model", filters=_ANY_REGION),
            "latency by day": quantiles(month, filters=_ANY_REGION),
        },
    }


def moment_after(last_day: datetime) -> datetime:
    """A moment late on the last day that a lake holds, so that the newest hour is still filling."""
    return last_day + timedelta(hours=23, minutes=36, seconds=30)
