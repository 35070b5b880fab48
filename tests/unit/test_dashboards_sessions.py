"""A session told in order: running cost, context, loops."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tollmeter.dashboards.prepare import session_rows
from tollmeter.dashboards.prepare.session_story import story
from tollmeter.dashboards.queries.calls import CallStep
from tollmeter.dashboards.queries.sessions import SessionRow
from tollmeter.dashboards.selection import Selection, parse_search
from tollmeter.dashboards.window import window

NOW = datetime(2026, 11, 23, 10, 37)
STEP = CallStep(NOW, "c", NOW.date(), "chat", "r", "", "", "acme", "u", "agent", "/chat", "", "", "chat", "gpt-4o",
                "ok", "", 200, 1, "", False, "stop", 10, 2, 0, "", 100.0, None, Decimal("0.1"), "priced")  # fmt: skip


def calls(*facts: dict[str, Any]) -> list[CallStep]:
    return [replace(STEP, created_at=NOW + timedelta(seconds=index), **fact) for index, fact in enumerate(facts)]


def test_running_cost_is_exact_and_says_when_a_part_is_unknown() -> None:
    told = story(calls({"cost_usd": Decimal("0.000000000001")}, {"cost_usd": None}, {"cost_usd": Decimal("0.1")}))
    assert [one.running_usd for one in told.told] == [Decimal("1E-12"), Decimal("1E-12"), Decimal("0.100000000001")]
    assert [one.running_is_partial for one in told.told] == [False, True, True]
    assert (told.total_usd, told.unpriced) == (Decimal("0.100000000001"), 1)
    assert story(calls({"cost_usd": None})).total_usd is None


def test_context_grows_from_prompt_to_prompt_and_embeddings_are_none() -> None:
    told = story(
        calls(
            {"input_tokens": 100},
            {"operation": "embeddings", "input_tokens": 5},
            {"input_tokens": 180},
            {"input_tokens": None},
            {"input_tokens": 90},
        )
    )
    assert [one.grown_by for one in told.told] == [None, None, 80, None, -90]
    assert told.longest_context == 180


def test_the_same_prompt_three_times_is_a_loop_and_retries_are_none() -> None:
    same = {"input_tokens": 500}
    told = story(calls({"input_tokens": 1}, same, same | {"attempt": 2}, same, {"operation": "embeddings"}, same))
    (loop,) = told.loops
    assert (loop.first, loop.last, loop.input_tokens, loop.cost_usd) == (2, 6, 500, Decimal("0.3"))
    assert "likely the same" in loop.sentence
    assert [one.loop for one in told.told] == [0, 1, 1, 1, 1, 1]
    assert story(calls(same, same, {"input_tokens": 501})).loops == ()
    digests = [{"content_digest": digest, "input_tokens": 500} for digest in ("a", "b", "c")]
    assert story(calls(*digests)).loops == ()
    (proven,) = story(calls(*[{"content_digest": "a"}] * 3)).loops
    assert "the same prompt" in proven.sentence


def test_money_went_where_it_went() -> None:
    told = story(
        calls({"prompt_name": "plan"}, {"prompt_name": "plan", "cost_usd": Decimal("0.2")}, {"cost_usd": None})
    )
    assert [(one.name, one.calls, one.cost_usd, one.share) for one in told.shares] == [
        ("plan · gpt-4o", 2, Decimal("0.3"), 1.0), ("agent · gpt-4o", 1, Decimal(0), 0.0),
    ]  # fmt: skip


def test_a_session_is_found_again_by_its_address() -> None:
    name = "a&b=<i>,ö"
    session = SessionRow(name, "acme", "u", 3, "chat", NOW, NOW + timedelta(days=1), 86400.0, 2, 1, 0, 0, 1, 1, 0, None)
    (made,) = session_rows.grid_rows([session], Selection().with_filter("team", ("ml",)), window(Selection(), NOW))
    again = parse_search(made["href"], session_rows.OWN)
    assert (again.get("open"), again.get("of"), again.get("at")) == (name, "acme", "2026-11-24")
    assert made["user"] == "u and 2 more"
    assert (made["cost"], made["cost_text"]) == (None, "unpriced")
    assert session_rows.cannot_filter(Selection().with_filter("feature", ("x",))).startswith(
        "sessions are not told by Feature"
    )
    assert session_rows.cannot_filter(Selection().with_filter("team", ("x",))) == ""
