"""Laws of overlays: for any rows, dates and order of asking."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollmeter.pricing import Usage
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.overlay import Adjustment, Commitment, Overlay, PriceRow, Resource
from tollmeter.pricing.quote import Prices
from tollmeter.pricing.table import Model, Provider, Row, Table, Variant

START = datetime(2026, 1, 1, tzinfo=UTC)
USAGE = Usage(input_tokens=1_000_000, output_tokens=0)
MODELS = ("m", "m-2", "other")
prices: st.SearchStrategy[Prices] = st.integers(1, 9).map(lambda price: {"input_mtok": str(price)})
hours = st.integers(0, 240).map(lambda count: START + timedelta(hours=count))
moments = st.builds(lambda at, off: at + timedelta(seconds=off), hours, st.sampled_from((-1, 0, 1)))
tiers = st.sampled_from(("", "batch"))
calls = st.tuples(st.sampled_from(MODELS), tiers, moments)
Asked = tuple[str, str, datetime]
_VARIANT = Variant({"input_mtok": "5"}, since=(START + timedelta(days=5)).date(), when={"processing": "batch"})
TABLE = Table(
    "t",
    "1",
    [
        Provider(
            "p",
            None,
            [],
            [
                Model(
                    "m",
                    ["starts_with", "m"],
                    [
                        Row({"input_mtok": "10", "output_mtok": "1"}),
                        Row({"input_mtok": "20", "output_mtok": "1"}, since=(START + timedelta(days=3)).date()),
                        Row({"input_mtok": "30", "output_mtok": "1"}, between=(time(22), time(6))),
                    ],
                    [_VARIANT],
                )
            ],
        )
    ],
)


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(hours)
    end = draw(st.none() | hours.filter(lambda at: at > START))
    return {"valid_from": start, "valid_until": end if end and end > start else None}


@st.composite
def overlays(draw: st.DrawFn) -> Overlay:
    models = st.sampled_from(("m", "m-2", "m*"))
    rows = [
        PriceRow(
            name=f"r{n}",
            provider="p",
            model=draw(models),
            service_tier=draw(tiers),
            prices=draw(prices),
            **draw(spans()),
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    discounts = [
        Adjustment(name=f"d{n}", provider="p", service_tier=draw(tiers), factor=Decimal("0.5"), **draw(spans()))
        for n in range(draw(st.integers(0, 2)))
    ]
    resources = [Resource(name="x", provider="p", resource_id="other", model="m", **draw(spans()))]
    commitments = [Commitment(name="c", provider="p", resource_id="m-2", usd_per_hour=Decimal(1), **draw(spans()))]
    return Overlay(
        source="o.yaml",
        rows=tuple(rows),
        discounts=tuple(discounts),
        resources=tuple(resources),
        commitments=tuple(commitments),
    )


@given(overlays(), st.lists(calls, min_size=1, max_size=12))
def test_what_is_remembered_is_what_would_be_found_again(
    overlay: Overlay, asked: list[tuple[str, str, datetime]]
) -> None:
    book = PriceBook(TABLE, overlay)
    for model, tier, at in asked:
        fresh = PriceBook(TABLE, overlay)
        assert book.price("p", model, USAGE, at=at, service_tier=tier) == fresh.price(
            "p", model, USAGE, at=at, service_tier=tier
        )


@given(overlays(), calls, st.integers(1, 10**6), prices)
def test_a_future_price_never_changes_a_past_call(overlay: Overlay, call: Asked, later: int, price: Prices) -> None:
    model, tier, at = call
    future = at + timedelta(seconds=later)
    row = PriceRow(name="future", provider="p", model=model, service_tier=tier, prices=dict(price), valid_from=future)
    more = Overlay(
        source=overlay.source,
        rows=(*overlay.rows, row),
        discounts=overlay.discounts,
        resources=overlay.resources,
        commitments=(
            *overlay.commitments,
            Commitment(name="f", provider="p", resource_id=model, usd_per_hour=Decimal(1), valid_from=future),
        ),
    )
    before, after = PriceBook(TABLE, overlay), PriceBook(TABLE, more)
    assert before.price("p", model, USAGE, at=at, service_tier=tier) == after.price(
        "p", model, USAGE, at=at, service_tier=tier
    )
    assert after.price("p", model, USAGE, at=future, service_tier=tier).cost_usd == 0


@given(overlays(), calls)
def test_every_row_that_counts_holds_at_the_time(overlay: Overlay, call: Asked) -> None:
    model, tier, at = call
    by_ref = {overlay.ref(entry): entry for entry in overlay.entries()}
    quote = PriceBook(TABLE, overlay).quote("p", model, at=at, service_tier=tier)
    for ref in quote.rows if quote else ():
        assert ref not in by_ref or by_ref[ref].holds(at)
    reasons = PriceBook(TABLE, overlay).explain("p", model, at=at, service_tier=tier)
    assert {reason.ref for reason in reasons if reason.taken} >= set(quote.rows if quote else ())
