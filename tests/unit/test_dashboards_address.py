"""What a touched control makes of the address, and where the navigation leads."""

from __future__ import annotations

from typing import Any

import pytest

from tollmeter.dashboards import address
from tollmeter.dashboards.pages import page_at
from tollmeter.dashboards.selection import Selection, parse_search

SHOWN: dict[str, Any] = {
    "search": "", "range": "30d", "dates": [None, None], "compare": False, "group": "model", "filter_by": None,
    "values": [],
}  # fmt: skip


def touched(search: str, control: str, **said: Any) -> Selection | None:
    return address.applied(parse_search(search), address.Controls(**SHOWN | said), control)


@pytest.mark.parametrize(
    ("control", "said", "search"),
    [
        ("range", {"range": "7d"}, "?range=7d&team=ml"),
        ("range", {"range": "30d"}, "?team=ml"),
        ("dates", {"dates": ["2026-11-03", "2026-11-01"]}, "?from=2026-11-01&to=2026-11-03&team=ml"),
        ("dates", {"dates": []}, "?team=ml"),
        ("compare", {"compare": True}, "?range=24h&compare=1&team=ml"),
        ("group", {"group": "none"}, "?range=24h&group=none&team=ml"),
        ("group", {"group": "tenant"}, "?range=24h&group=tenant&team=ml"),
        ("filter-values", {"filter_by": "team", "values": ["=", "=a,b"]}, "?range=24h&team=&team=a%2Cb"),
        ("filter-values", {"filter_by": "team", "values": []}, "?range=24h"),
        ("url", {}, "?range=24h&team=ml"),
    ],
)
def test_a_control_changes_its_own_part_of_the_address(control: str, said: dict[str, Any], search: str) -> None:
    selection = touched("?range=24h&team=ml", control, **said)
    assert selection
    assert selection.search() == search


def test_the_first_of_two_days_changes_nothing_yet() -> None:
    assert touched("?range=24h", "dates", dates=["2026-11-03", None]) is None


def test_the_navigation_carries_the_filters_and_not_what_one_page_keeps() -> None:
    links = address.links(page_at("/"), parse_search("?team=ml&call=0193", own=("call",)))
    assert all(link.href.endswith("?team=ml") for link in links)
    assert [link.className for link in links].count("tm-nav-link tm-active") == 1
    assert links[0].className.endswith("tm-active")
