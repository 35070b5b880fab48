"""The page on changes: what is shown adds up, every case has its words, and the documented example is true."""

from __future__ import annotations

import doctest
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollmeter.dashboards.figures.waterfall import waterfall
from tollmeter.dashboards.prepare.change import MOST, change
from tollmeter.dashboards.statistics.decomposition import Cell

D = Decimal


def chat(calls: int, cost: str, entity: str = "chat", model: str = "gpt") -> Cell:
    """Calls of ten output tokens each."""
    return Cell(entity, model, calls, output_tokens=10 * calls, output_cost=D(cost), cost=D(cost))


def test_the_example_of_the_documentation_is_what_is_computed() -> None:
    page = Path(__file__).parents[2] / "docs" / "why-it-changed.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert (found.failed, found.attempted > 5) == (0, True)


def test_the_sentence_names_the_largest_effects_first() -> None:
    found = change([chat(100, "100")], [chat(120, "180")], "team")
    assert found.sentence == (
        "Spend rose $80.00 (+80.0 %), from $100.00 to $180.00: +$55.00 higher prices, +$25.00 more calls."
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([], [], "Nothing was spent in either period."),
        ([chat(10, "2")], [chat(10, "2")], "Spend did not change, $2.000 in both periods."),
        ([], [chat(10, "2")], "Spend rose $2.000, from $0.000 to $2.000: +$2.000 new teams."),
        ([chat(10, "2")], [], "Spend fell $2.000 (-100.0 %), from $2.000 to $0.000: -$2.000 teams that are gone."),
        ([chat(10, "2")], [chat(5, "2")],
         "Spend did not change, $2.000 in both periods: -$1.500 fewer calls, +$1.500 higher prices."),
    ],
)  # fmt: skip
def test_periods_without_spend_or_without_change(before: list[Cell], after: list[Cell], said: str) -> None:
    assert change(before, after, "team").sentence == said


def test_a_new_model_is_mix_within_a_team_and_a_new_team_is_new() -> None:
    found = change(
        [chat(10, "10")],
        [chat(5, "5"), chat(5, "50", model="large"), chat(1, "7", entity="search")],
        "team",
    )
    rows = {row["name"]: row for row in found.rows}
    assert (rows["chat"]["mix_text"], rows["chat"]["state"]) == ("+$45.00", "")
    assert (rows["search"]["new_text"], rows["search"]["state"]) == ("+$7.00", "new")
    assert [bar.label for bar in found.bars] == [
        "Before", "Calls", "Mix of models", "Tokens per call", "Cache", "Prices", "New", "After",
    ]  # fmt: skip


def test_calls_of_unknown_cost_and_entities_beyond_the_most_are_named() -> None:
    many = [chat(1, "1", entity=f"user-{number}") for number in range(MOST + 7)]
    found = change(many, [replace(many[0], cost=D(9), output_cost=D(9))], "user", unpriced=(3, 1200))
    assert found.caption == "calls of unknown cost are in neither sum: 3 before, 1,200 after"
    assert found.table_caption == "showing 200 of 207 users"
    rest = [row for row in found.rows if row["name"] == "all others"]
    assert [(row["before_text"], row["gone_text"]) for row in rest] == [("$7.00", "-$7.00")]


_COST = st.integers(0, 10**15).map(lambda number: D(number).scaleb(-12))


@st.composite
def _periods(draw: st.DrawFn) -> list[Cell]:
    keys = draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("mn")), unique=True, max_size=5))
    return [
        Cell(
            entity, model, draw(st.integers(0, 50)), output_tokens=draw(st.integers(0, 99)), output_cost=cost, cost=cost
        )
        for (entity, model), cost in ((key, draw(_COST)) for key in keys)
    ]


@settings(deadline=None, max_examples=60)
@given(_periods(), _periods(), st.sampled_from(("team", "model", "")))
def test_the_waterfall_adds_up_as_it_is_shown_and_so_does_every_row(
    before: list[Cell], after: list[Cell], by: str
) -> None:
    found = change(before, after, by)
    first, *middle, last = found.bars
    assert first.end + sum(bar.end - bar.start for bar in middle) == last.end
    assert (first.text, last.text) == (_shown(first.end, first.text), _shown(last.end, last.text))
    assert all(here.end == there.start for here, there in zip(found.bars, middle, strict=False))
    assert sum(_amount(bar.text) for bar in middle) == _amount(last.text) - _amount(first.text)
    for row in found.rows:
        parts = sum(_amount(str(row[f"{effect}_text"])) for effect in found.columns)
        assert parts == _amount(str(row["difference_text"]))
        assert parts == _amount(str(row["after_text"])) - _amount(str(row["before_text"]))


def _amount(text: str) -> Decimal:
    return D(text.replace("$", "").replace(",", "").replace("+", ""))


def _shown(amount: Decimal, text: str) -> str:
    places = len(text.partition(".")[2])
    return f"${amount:,.{places}f}"


def test_a_bar_hangs_where_the_one_before_ended() -> None:
    figure = waterfall(change([chat(10, "100")], [chat(5, "80")], "team").bars)
    bars = figure["data"][0]
    assert bars["x"][:2] == ["Before", "Calls"]
    assert (bars["base"][1], bars["y"][1], bars["text"][1]) == (35.0, 65.0, "-$65.00")
    assert figure["data"][1]["y"] == [100.0, 100.0]
