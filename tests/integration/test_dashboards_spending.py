"""What the page on changes reads: the cells of a period say what the rows say, from whatever source they come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hand_lake import call, land, roll_up

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.dashboards.lake import Lake
from tollmeter.dashboards.queries.plan import plan_sums
from tollmeter.dashboards.queries.spending import spending
from tollmeter.dashboards.selection import Filters
from tollmeter.dashboards.statistics.decomposition import decompose
from tollmeter.dashboards.window import Window
from tollmeter.model.events import LlmCall
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

START = datetime(2026, 11, 1, tzinfo=UTC)
ZONE = "Asia/Kolkata"
EVERYTHING = Viewer("reader", None)


def _event(chance: Random, number: int) -> LlmCall:
    tokens_in, tokens_out = chance.randint(1, 900), chance.randint(1, 90)
    read, written = chance.randint(0, tokens_in // 2), chance.randint(0, tokens_in // 2)
    prices = {"input": 25, "output": 100, "cache_read": 3, "cache_write": 31}
    tokens = {"input": tokens_in - read - written, "output": tokens_out, "cache_read": read, "cache_write": written}
    costs = {f"{name}_cost_usd": Decimal(tokens[name] * prices[name]).scaleb(-7) for name in prices}
    costs["fees_usd"] = Decimal(chance.choice(("0", "0.01")))
    known = number % 9 > 0
    priced = {"cost_usd": sum(costs.values(), Decimal(0)), "cost_status": "priced", **costs}
    return call(
        START + timedelta(seconds=chance.uniform(0, 4 * 86_400)),
        provider="openai", response_model=f"m-{number % 2}", team=("a", "", "it's")[number % 3],
        tenant_id=("acme", "globex")[number % 2], user_id=f"u{number % 5}", route="/chat", version=f"v{number % 2}",
        input_tokens=tokens_in, output_tokens=tokens_out, cache_read_tokens=read, cache_write_tokens=written,
        **(priced if known else {"cost_status": "unpriced"}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, list[LlmCall]]]:
    home, chance = Home(tmp_path_factory.mktemp("lake") / "home"), Random(3)
    events = [_event(chance, number) for number in range(300)]
    land(home, events)
    roll_up(home, ZONE)
    opened = Lake(home, Settings.load({}))
    yield opened, events
    opened.close()


@pytest.mark.parametrize(
    ("by", "zone", "filters", "viewer", "source"),
    [
        ("model", ZONE, (), EVERYTHING, "days"),
        ("", ZONE, (("model", ("m-1",)),), EVERYTHING, "days"),
        ("team", ZONE, (("provider", ("openai",)),), EVERYTHING, "spend"),
        ("team", ZONE, (), Viewer("tenant's", ("acme",)), "spend"),
        ("user", ZONE, (("team", ("", "it's")),), EVERYTHING, "rows"),
        ("version", ZONE, (), EVERYTHING, "rows"),
    ],
)
def test_cells_are_the_sums_of_the_rows(  # noqa: PLR0917 - pytest passes them by name
    lake: tuple[Lake, list[LlmCall]], by: str, zone: str, filters: Filters, viewer: Viewer, source: str
) -> None:
    opened, events = lake
    start = datetime(2026, 11, 1, 7, 20)  # noqa: DTZ001 - the lake's times are UTC without zone
    span = Window(start, start + timedelta(hours=60), "day", start + timedelta(days=9), zone)
    found = spending(opened, viewer, span, by, filters)
    wanted = [
        event for event in events
        if span.start <= event.timestamp.replace(tzinfo=None) < span.end
        and (viewer.tenants is None or event.tenant_id in viewer.tenants)
        and all(_value(event, name) in values for name, values in filters)
    ]  # fmt: skip
    assert plan_sums(span, "all", {by, *dict(filters)} - {""}, viewer).source in (source, "sessions")
    assert (found.calls, found.unpriced_calls) == (len(wanted), sum(event.cost_usd is None for event in wanted))
    assert len(wanted) > 20
    costs: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 7)
    for event in wanted:
        parts = (event.cost_usd, event.input_cost_usd, event.cache_read_cost_usd, event.cache_write_cost_usd,
                 event.output_cost_usd, event.fees_usd, Decimal(event.cache_read_tokens or 0))  # fmt: skip
        held = costs[_value(event, by), event.response_model]
        costs[_value(event, by), event.response_model] = [
            one + (two or 0) for one, two in zip(held, parts, strict=True)
        ]
    assert {
        (cell.entity, cell.model): [
            cell.cost, cell.plain_cost, cell.read_cost, cell.write_cost, cell.output_cost, cell.fees, cell.read_tokens,
        ]
        for cell in found.cells
    } == costs  # fmt: skip


def test_the_effects_of_two_periods_add_up_to_the_difference_of_their_rows(lake: tuple[Lake, list[LlmCall]]) -> None:
    opened, events = lake
    two_days, first = timedelta(days=2), datetime(2026, 11, 1)  # noqa: DTZ001 - the lake's times are UTC without zone
    spans = [Window(start, start + two_days, "day", first + 9 * two_days, ZONE) for start in (first, first + two_days)]
    split = decompose(*(spending(opened, EVERYTHING, span, "team", ()).cells for span in spans), within_entity=True)
    costs = [
        sum(e.cost_usd or 0 for e in events if span.start <= e.timestamp.replace(tzinfo=None) < span.end)
        for span in spans
    ]
    assert split.difference == sum(split.effects.values()) == costs[1] - costs[0] != 0


def _value(event: LlmCall, name: str) -> str:
    field = {"": "", "model": "response_model", "tenant": "tenant_id", "user": "user_id"}.get(name, name)
    return getattr(event, field) if field else ""
