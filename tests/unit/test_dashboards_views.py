"""Saved views: each viewer's own, bounded, replaced whole."""

from __future__ import annotations

import json

import pytest

from tollmeter.dashboards.views import LONGEST_ADDRESS, LONGEST_NAME, MOST_VIEWS, View, Views, ViewStore
from tollmeter.model.errors import UsageError
from tollmeter.model.home import Home

WEEK = View("Week by team", "cost", "?range=7d&group=team")


def test_a_view_is_saved_over_the_one_of_its_name_and_is_the_viewers_own(home: Home) -> None:
    store = ViewStore(home)
    store.save("ada", WEEK)
    store.save("ada", View(" another ", "", "?range=24h"))
    store.save("ada", View(WEEK.name, "cost", "?range=90d"))
    assert store.read("ada").views == (View("another", "", "?range=24h"), View(WEEK.name, "cost", "?range=90d"))
    assert store.read("bob") == Views()


def test_the_default_follows_a_rename_and_goes_with_its_view(home: Home) -> None:
    store = ViewStore(home)
    store.save("ada", WEEK)
    assert store.make_default("ada", WEEK.name).default == WEEK.name
    assert store.rename("ada", WEEK.name, "Teams").default == "Teams"
    assert store.read("ada").find("Teams") == View("Teams", WEEK.path, WEEK.search)
    assert store.delete("ada", "Teams") == Views()


def test_names_that_are_taken_missing_or_too_long_are_refused_and_change_nothing(home: Home) -> None:
    store = ViewStore(home)
    store.save("ada", WEEK)
    before = store.save("ada", View("B", "", ""))
    for name, view in ((" ", ""), ("x" * (LONGEST_NAME + 1), ""), ("long", "?" + "x" * LONGEST_ADDRESS)):
        with pytest.raises(UsageError):
            store.save("ada", View(name, "", view))
    for old, new in (("B", WEEK.name), ("missing", "C")):
        with pytest.raises(UsageError):
            store.rename("ada", old, new)
    with pytest.raises(UsageError, match="no view 'missing'"):
        store.make_default("ada", "missing")
    assert store.read("ada") == before


def test_there_is_an_end_to_how_many_are_kept(home: Home) -> None:
    store = ViewStore(home)
    for number in range(MOST_VIEWS):
        store.save("ada", View(f"view {number}", "", ""))
    with pytest.raises(UsageError, match="100 views already"):
        store.save("ada", View("one more", "", ""))
    assert store.save("ada", View("view 7", "calls", "")).find("view 7") == View("view 7", "calls", "")


def test_a_subject_of_any_kind_names_no_file_outside_and_a_broken_file_is_no_view(home: Home) -> None:
    store = ViewStore(home)
    hostile = "../../etc/passwd\x00"
    store.save(hostile, View("<script>", "", "?model=%3Cb%3E"))
    (file,) = home.state.rglob("*.json")
    assert file.parent == home.state / "dashboard-views"
    assert json.loads(file.read_text("utf-8"))["subject"] == hostile
    file.write_text('{"views": [{"name": 1}]', "utf-8")
    assert store.read(hostile) == Views()
