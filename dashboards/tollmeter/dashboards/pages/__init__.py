"""The pages, in the order of the navigation."""

from __future__ import annotations

from typing import Final

from tollmeter.dashboards.pages import calls, change, cost, errors, experiments, health, latency, overview, sessions
from tollmeter.dashboards.wire import Page

PAGES: Final[tuple[Page, ...]] = (
    overview.PAGE,
    cost.PAGE,
    change.PAGE,
    latency.PAGE,
    errors.PAGE,
    experiments.PAGE,
    sessions.PAGE,
    calls.PAGE,
    health.PAGE,
)


def page_at(pathname: str | None) -> Page | None:
    """The page of an address's path; None if there is none."""
    return next((page for page in PAGES if page.is_at(pathname)), None)
