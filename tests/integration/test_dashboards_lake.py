"""What the dashboard asks of a real lake, and when it asks again."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tollmeter.dashboards.access import LOCAL, Viewer
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries import cube, seen
from tollmeter.dashboards.queries.records import Extent
from tollmeter.dashboards.selection import parse_search
from tollmeter.dashboards.window import window
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


def ask(address: str, group: str = "", **more: Any) -> cube.Ask:
    selection = parse_search(address)
    return cube.Ask(window(selection, NOW), LOCAL, group, selection.filters, **more)


def test_an_empty_lake_and_an_empty_period_are_told_apart(home: Home) -> None:
    lake = Lake(home, look_s=0)
    assert seen.extent(lake, LOCAL) == Extent()
    rows = lakes.fill(home, NOW, calls=10, hours=1)
    assert cube.total(lake, ask("?from=2026-01-01&to=2026-01-02")) == cube.Figures()
    found = seen.extent(lake, LOCAL)
    assert (found.first, found.last) == (rows[-1]["timestamp"], rows[0]["timestamp"])
    assert found.ingested == max(row["ingested_at"] for row in rows)


def test_a_viewer_of_one_tenant_learns_of_no_other(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=30, hours=1)
    ada = Viewer("ada", ("acme",))
    lake = Lake(home)
    own = [row["timestamp"] for row in rows if row["tenant_id"] == "acme"]
    found = seen.extent(lake, ada)
    assert (found.first, found.last, found.ingested) == (min(own), max(own), None)
    assert seen.in_order_of_appearance(lake, ada, "tenant") == ["acme"]
    assert seen.values(lake, replace(ask("", "tenant", bucket="all"), viewer=ada)) == ["acme"]


def test_values_are_searched_and_those_of_most_calls_come_first(home: Home) -> None:
    rows = lakes.fill(home, NOW, calls=200, hours=48)
    lake = Lake(home)
    found = seen.values(lake, ask("", "model", bucket="all", rank="calls", search="GPT"))
    assert found == ["gpt-4o-mini", "gpt-4o"]
    counted = {name: sum(row["request_model"] == name for row in rows) for name in found}
    assert counted["gpt-4o-mini"] > counted["gpt-4o"]
    assert seen.values(lake, ask("", "team", bucket="all")) == [""]


def test_values_stand_in_order_of_appearance_for_dimensions_that_rollups_carry(home: Home) -> None:
    lakes.fill(home, NOW - timedelta(days=3), calls=1, hours=1)
    lakes.fill(home, NOW, calls=60, hours=1)
    lake = Lake(home)
    models = seen.in_order_of_appearance(lake, LOCAL, "model")
    assert models[0] == lakes.call(NOW, 0)["request_model"]
    assert sorted(models) == sorted(name for name, *_ in lakes.MODELS)
    assert seen.in_order_of_appearance(lake, LOCAL, "route")
    assert seen.in_order_of_appearance(lake, LOCAL, "experiment") == []


def test_made_up_fields_are_those_that_the_tag_names(home: Home) -> None:
    lakes.fill(home, NOW, calls=5, hours=1, simulated=True)
    assert seen.simulated(Lake(home), LOCAL, window(parse_search(""), NOW)) == ("model", "route", "latency_ms")
