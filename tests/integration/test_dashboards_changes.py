"""Versions and price rows as a lake shows them, as lines over a chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hand_lake import call, land

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.prepare.annotations import Annotation, happened
from tollmeter.dashboards.queries.changes import changes_seen
from tollmeter.dashboards.window import Window
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_a_new_version_and_a_new_price_row_are_lines_and_what_ran_before_is_none(home: Home) -> None:
    old, new = "genai-prices 0.2.3 openai/o3", "genai-prices 0.2.3 openai/o3 2026-11-19"
    days = ((9, "1", old), (6, "1", old), (3, "2", old), (2, "2", new), (1, "2", new))
    land(
        home,
        [
            call(NOW - timedelta(days=ago), version=version, response_model="o3", price_ref=ref, tenant_id="acme")
            for ago, version, ref in days
        ],
    )
    end = NOW.replace(tzinfo=None)
    span = Window(end - timedelta(days=7), end, "day", end)
    lake = Lake(home, Settings.load({}))
    found = happened(changes_seen(lake, Viewer("reader", None), span), span)
    assert found == (
        Annotation(end - timedelta(days=3), "deployment", "chat (test) 2"),
        Annotation(end - timedelta(days=2), "price", "price of o3: genai-prices openai/o3 2026-11-19"),
    )
    assert happened(changes_seen(lake, Viewer("other", ("globex",)), span), span) == ()
    lake.close()
