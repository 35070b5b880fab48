"""What the cost page says of figures that are known, unknown, zero or nobody's."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone
from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from tollmeter.dashboards.prepare import allocation, caching, spending, token_parts, unit_costs, units
from tollmeter.dashboards.prepare.charts import stacked
from tollmeter.dashboards.prepare.colours import palette
from tollmeter.dashboards.prepare.groups import points
from tollmeter.dashboards.prepare.month import cumulative, month_chart
from tollmeter.dashboards.queries.cube import Figures, Sum, Sums
from tollmeter.dashboards.queries.unit_costs import BusinessEvent, CommitmentUse, UnitCounts
from tollmeter.dashboards.window import Window

usd = Decimal
DAY = datetime(2026, 11, 20)
THREE_DAYS = Window(DAY, datetime(2026, 11, 23), "day", datetime(2026, 11, 25))


def row(name: str | None, cost: str | None, **figures: Any) -> Sum:
    day = figures.pop("day", 20)
    return Sum(bucket=datetime(2026, 11, day), name=name, cost_usd=usd(cost) if cost else None, **figures)


def sums(*rows: Sum, found: int = 0) -> Sums:
    return Sums(rows, found or len(rows), "hours")


def href(value: str) -> str:
    return f"?model={value}"


def test_every_token_is_counted_once_by_kind() -> None:
    found = Figures(input_tokens=1000, cache_read_tokens=300, cache_write_tokens=200, cache_write_1h_tokens=50,
                    output_tokens=90, reasoning_tokens=40)  # fmt: skip
    kinds = token_parts.token_kinds(found)
    assert list(kinds.values()) == [500, 300, 150, 50, 50, 40]
    assert sum(kinds.values()) == 1090
    # Sessions' rollup tells cache reads alone apart.
    assert sum(token_parts.token_kinds(Figures(input_tokens=10, cache_read_tokens=4, output_tokens=3)).values()) == 13


def test_parts_add_up_to_spend_and_what_no_part_is_known_of_stands_apart() -> None:
    known = Figures(cost_usd=usd("10"), input_cost_usd=usd("4"), output_cost_usd=usd("3"), fees_usd=usd("2"),
                    cache_read_cost_usd=usd("1"), input_tokens=2_000_000, output_tokens=100)  # fmt: skip
    assert [part.name for part in token_parts.parts(known)][-1] == "Per-use fees"
    some = Figures(cost_usd=usd("10"), input_cost_usd=usd("4"))
    rest = token_parts.parts(some)[-1]
    assert (rest.name, rest.cost) == ("Not told apart", usd("6"))
    for figures in (known, some):
        assert sum((part.cost or 0 for part in token_parts.parts(figures)), usd(0)) == figures.cost_usd
    first = token_parts.part_rows(known)[0]
    assert (first["rate_exact"], first["cost_share"]) == ("2.000000000000 USD", 0.4)


def test_media_are_told_as_a_part_of_what_they_are_part_of() -> None:
    found = token_parts.media(Figures(input_tokens=9, input_audio_tokens=4, output_image_tokens=2))
    assert [(part.name, part.tokens, part.note) for part in found] == [
        ("Audio in", 4, "part of input"),
        ("Images out", 2, "part of output"),
    ]


def test_the_headline_divides_like_by_like_and_says_what_it_divides_by() -> None:
    now = Figures(calls=10, requests=4, errors=1, unpriced_calls=3, cost_usd=usd("8"), cache_savings_usd=usd("2"))
    before = Figures(calls=10, requests=8, cost_usd=usd("8"), cache_savings_usd=usd("4"))
    units = UnitCounts(2, usd("6"), 3, usd("6"))
    tiles = {tile.id: tile for tile in spending.headline(now, before, units, UnitCounts())}
    assert tiles["cost-per-request"].value == "2.000000000000"
    assert (tiles["cost-per-request"].delta, tiles["cost-per-request"].tone) == ("+100.0 %", "bad")
    assert (tiles["cost-per-user"].value, tiles["cost-per-session"].value) == ("3.000000000000", "2.000000000000")
    assert (tiles["cost-savings"].tone, tiles["cost-savings"].note) == ("bad", "20.0 % of full price")
    assert (tiles["cost-unpriced"].text, tiles["cost-unpriced"].note) == ("30.00 %", "2 more than failed")
    assert tiles["cost-unpriced"].warn


def test_where_requests_are_not_known_the_headline_tells_of_calls_with_a_price() -> None:
    now = Figures(calls=10, unpriced_calls=6, cost_usd=usd("8"))
    tile = spending.headline(now, Figures(), UnitCounts(), UnitCounts())[1]
    assert (tile.label, tile.value) == ("Cost per call", "2.000000000000")


def test_a_group_that_is_unpriced_but_for_its_own_cache_is_not_free() -> None:
    now = sums(row("a", "3", calls=6, unpriced_calls=3), row("own", "0", calls=5, unpriced_calls=4),
               row(None, "1", calls=1), found=7)  # fmt: skip
    rows = spending.group_rows(now, sums(row("a", "2")), Figures(cost_usd=usd("4")), href)
    assert [(each["name"], each["cost_text"]) for each in rows] == [
        ("a", "$3.000"), ("own", "unpriced"), ("all 5 others", "$1.000"),
    ]  # fmt: skip
    assert (rows[0]["share"], rows[0]["change_text"], rows[0]["per_call_text"]) == (0.75, "+50.0 %", "$1.000")
    assert (rows[2]["href"], rows[0]["href"]) == ("", "?model=a")


def test_rows_of_all_others_are_drawn_as_other_and_counted() -> None:
    rows = [row(f"m{number}", "5") for number in range(12)]
    drawn = points(sums(*rows, row(None, "7")), "cost_usd")
    chart = stacked(drawn, THREE_DAYS, palette([]), units.MONEY, dimension="model", found=50)
    assert [series.name for series in chart.series][-1] == "other"
    assert chart.series[-1].values[0] == 3 * 5 + 7
    assert chart.caption == "per day, UTC · showing 9 of 50 models"
    few = stacked(
        points(sums(row("a", "1"), row(None, "2")), "cost_usd"), THREE_DAYS, palette([]), units.MONEY, found=9
    )
    assert [(series.name, series.values[0]) for series in few.series] == [("a", 1), ("other", 2)]


def test_a_bucket_without_input_is_a_gap_in_shares_of_input() -> None:
    chart = caching.hit_chart(
        sums(row("", "1", input_tokens=10, cache_read_tokens=4), row("", "1", day=22, calls=1)), THREE_DAYS
    )
    assert chart.series[0].values == (0.4, None, None)


def test_unpriced_models_come_with_the_command_that_tells_why_and_no_shell_is_tricked() -> None:
    answered = sums(row("fine", "1", calls=5), row("own model; rm", None, calls=4, unpriced_calls=4))
    rows = allocation.unpriced_rows(answered, href)
    assert [(each["name"], each["hint"]) for each in rows] == [
        ("own model; rm", "tollmeter prices lookup 'own model; rm'")
    ]
    told = allocation.unpriced_caption(Figures(unpriced_calls=9), Figures(unpriced_calls=4))
    assert told == "4 answered calls have no price · 5 failed calls told no usage"


def test_what_has_no_owner_is_shown_also_where_it_is_nothing() -> None:
    without = {"team": Figures(calls=2, cost_usd=usd("1")), "user": Figures()}
    rows = allocation.unallocated_rows(
        without, Figures(calls=4, cost_usd=usd("4")), {"team": "?team=", "user": "?user="}
    )
    assert [(each["name"], each["cost_text"], each["share"], each["call_share"]) for each in rows] == [
        ("no team", "$1.000", 0.25, 0.5),
        ("no user", "nothing", 0.0, 0.0),
    ]


def test_one_request_and_one_event_cost_what_their_calls_cost() -> None:
    rows = unit_costs.route_rows(sums(row("/a", "6", requests=3, calls=9)), sums(row("/a", "1", requests=1)), href)
    assert (rows[0]["each_exact"], rows[0]["change_text"]) == ("2.000000000000 USD", "+100.0 %")
    events = unit_costs.event_rows([BusinessEvent("done", 4, 8, 1, usd("2"))], [])
    assert (events[0]["each_exact"], events[0]["change_text"], events[0]["unpriced"]) == ("0.500000000000 USD", "—", 1)


def test_idle_capacity_is_told_and_unknown_capacity_is_not_idle() -> None:
    found = [CommitmentUse("pt", "aws", "arn:1", "m", 2, 9, 100, 0.25, usd("40"), usd("30")),
             CommitmentUse("old", "aws", "arn:2", "", 2, 0, 0, None, usd("5"), None)]  # fmt: skip
    rows = unit_costs.commitment_rows(found)
    assert [(each["idle_text"], each["idle_share"]) for each in rows] == [
        ("$30.00", 0.75),
        ("capacity not known", None),
    ]


def test_the_month_rises_to_today_and_no_further() -> None:
    month = Window(datetime(2026, 11, 1), datetime(2026, 12, 1), "day", datetime(2026, 11, 3, 12))
    spent = sums(row("", "1", day=1), row("", "2", day=3))
    assert list(cumulative(spent, month).values()) == [usd(1), usd(1), usd(3)]
    october = Window(datetime(2026, 10, 1), datetime(2026, 11, 1), "day", datetime(2026, 11, 3, 12))
    before = sums(
        Sum(bucket=datetime(2026, 10, 2), name="", cost_usd=usd("2")),
        Sum(bucket=datetime(2026, 10, 30), name="", cost_usd=usd("9")),
    )
    chart = month_chart(spent, month, (before, october))
    assert chart.series[0].values[:4] == (usd(1), usd(1), usd(3), None)
    assert chart.before[0].values[29] == usd(11)
    assert "$3.000 so far, +50.0 % against the same days of the month before" in chart.caption
