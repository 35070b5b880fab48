"""Data health: what arrives and when, what does not, and what is known of what has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tollmeter.dashboards.components import card, facts, grid, health_view, notices
from tollmeter.dashboards.prepare import health_rows, health_states
from tollmeter.dashboards.queries import files, health
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire
from tollmeter.sql.engine import ENGINE_DUCKDB

_CARDS: Final = (
    "health-lights", "health-services", "health-runs", "health-quarantine", "health-losses", "health-files",
)  # fmt: skip


def layout() -> Any:
    """The frame of the page."""
    import dash_mantine_components as dmc
    from dash import html

    return html.Div(
        [
            card.bare("health-lights", "State of the data", dmc.Skeleton(height=300)),
            card.card("health-services", "Services", height=180, wide=True),
            card.card("health-runs", "Last runs", height=300, wide=True),
            card.grid_of(
                card.card("health-losses", "Losses", height=160),
                card.card("health-files", "Files of the lake", height=160),
            ),
            card.card("health-quarantine", "Quarantine", height=160, wide=True),
        ]
    )


def register(wire: Wire) -> None:
    """Connect the page: one reading fills it all."""
    wire.cards(_CARDS, _read)


def _read(asked: Asked) -> Sequence[Shown]:
    if asked.viewer.is_scoped:
        told = notices.nothing_here("Health is of the data of all tenants: it is not shown to a reader of some.")
        return [Shown(told), *[Shown(None)] * (len(_CARDS) - 1)]
    stored = files.table_files(asked.lake.home) if asked.lake.settings.engine == ENGINE_DUCKDB else ()
    span = asked.window
    found = health.health(asked.lake, asked.viewer, span.start, span.end, stored)
    states = health_states.states(found, span.now, asked.lake.settings.max_quarantined_ratio)
    return [
        Shown(health_view.lights(states)),
        _services(asked, found),
        _runs(asked, found),
        _quarantine(found),
        _losses(found),
        _files(found),
    ]


def _services(asked: Asked, found: health.Health) -> Shown:
    rows = health_rows.services(found, asked.window.now)
    if not rows:
        return Shown(notices.nothing_here("No service was heard of in this period."))
    columns = [
        grid.text("service", "Service", 140), grid.text("heard", "Newest call", 110),
        grid.text("landing", "Took to land", 110), grid.count("calls", "Calls"), grid.count("unpriced", "Unpriced"),
        grid.count("estimated", "Estimated"), grid.count("missing", "Usage missing", 120),
        grid.count("inconsistent", "Inconsistent", 115),
    ]  # fmt: skip
    return Shown(grid.grid("health-services-grid", columns, rows, key="service"))


def _runs(asked: Asked, found: health.Health) -> Shown:
    rows = health_rows.runs(found, asked.window)
    if not rows:
        return Shown(notices.nothing_here("Neither the ETL nor a forwarder told of a run in this period."))
    columns = [
        grid.text("began", "Began", 165, cellClass="tm-digits"), grid.text("component", "Component", 105),
        grid.text("sink", "Sink", 110),
        grid.text("outcome", "Outcome", 100, cellClassRules={"tm-bad": {"function": "!params.data.ok"}}),
        grid.count("rows", "Rows"), grid.duration("duration", "Took"), grid.duration("lag", "Lag"),
        grid.text("counts", "Counted", 280),
    ]  # fmt: skip
    caption = f"the newest of the ETL and of each sink, times in {asked.window.zone}"
    return Shown(grid.grid("health-runs-grid", columns, rows, key="id"), caption)


def _quarantine(found: health.Health) -> Shown:
    if not found.quarantined:
        return Shown(notices.nothing_here("No line went to quarantine in this period."))
    return Shown(health_view.quarantine(found.quarantined), "tollmeter etl replay tries them again after a fix")


def _losses(found: health.Health) -> Shown:
    rows = health_rows.losses(found)
    if not rows:
        return Shown(notices.nothing_here("Nothing was lost in this period."))
    return Shown(facts.table(("Where", "Why", "Events", "Told by"), rows, "Losses", numbers_from=2))


def _files(found: health.Health) -> Shown:
    rows = health_rows.files(found)
    if not rows:
        return Shown(notices.nothing_here("This engine does not tell of files."))
    return Shown(facts.table(("Table", "Rows", "Files", "Size", "Snapshots"), rows, "Files of the lake"))


PAGE: Final = Page("health", "Data health", "health", layout, register, needs_calls=False)
