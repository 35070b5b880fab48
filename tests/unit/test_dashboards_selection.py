"""The address carries the selection both ways, whatever its values hold."""

from __future__ import annotations

from datetime import date

import pytest

from tollmeter.dashboards.dimensions import DIMENSIONS
from tollmeter.dashboards.selection import Selection, parse_search

HOSTILE = (
    "a,b&c=d",
    "<script>alert(1)</script>",
    '"quoted" %26 #',
    "",
    " ",
    "x" * 10_000,
    "=1+1",
    "été",
    "a\x1fb",
    "+",
)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(range="24h", compare=True, group="team"),
        Selection(group=""),
        Selection().with_filter("model", ("gpt-4o", "us.anthropic.claude-3:0")).with_filter("tenant", HOSTILE),
        Selection().with_days(date(2026, 11, 3), date(2026, 11, 1)).with_filter("stream", ("true",)),
    ],
)
def test_the_address_carries_the_selection_both_ways(selection: Selection) -> None:
    assert parse_search(selection.search()) == selection


def test_a_default_is_never_written() -> None:
    assert Selection(range="30d", group="model").search() == ""
    assert parse_search(None) == parse_search("?") == Selection()


def test_filters_stand_in_one_order_whatever_the_order_they_were_chosen_in() -> None:
    one = Selection().with_filter("team", ("ml",)).with_filter("model", ("a",))
    other = Selection().with_filter("model", ("a",)).with_filter("team", ("ml",))
    assert one == other
    assert one.search() == "?model=a&team=ml"
    assert one.without("team").without("model") == Selection()


@pytest.mark.parametrize(
    ("search", "problem"),
    [
        ("?range=soon", "range 'soon' is not known"),
        ("?from=soon&to=later", "from='soon' to='later' are not days"),
        ("?from=2026-01-01", "to=''"),
        ("?group=colour", "group 'colour' is not known"),
        ("?group=session", "group 'session' is not known"),
        ("?colour=red", "'colour' is no dimension"),
        ("?" + "&".join(f"model={number}" for number in range(1001)), "more than 1000 parts"),
    ],
)
def test_what_is_not_understood_is_named_and_left_out(search: str, problem: str) -> None:
    selection = parse_search(search)
    assert problem in " ".join(selection.problems)
    assert selection.search() == ""


def test_a_page_keeps_names_of_its_own_and_links_to_others_drop_them() -> None:
    selection = parse_search("?call=0193&range=7d", own=("call",))
    assert (selection.get("call"), selection.problems) == ("0193", ())
    assert selection.shared().search() == "?range=7d"
    assert parse_search("?call=0193").problems


def test_every_dimension_has_a_column_and_rollups_carry_those_they_should() -> None:
    carried = {name: sorted(one.tables) for name, one in DIMENSIONS.items()}
    assert carried["tenant"] == ["rollup_sessions_daily", "rollup_spend_daily"]
    assert "rollup_calls_hourly" in carried["model"]
    assert carried["session"] == ["rollup_sessions_daily"]
    assert carried["experiment"] == []
