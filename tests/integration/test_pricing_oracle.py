"""Costs against genai-prices itself, over every model it knows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import product
from typing import Any

import genai_prices
import pytest

from tollmeter.model.names import COST_INCONSISTENT, COST_UNPRICED
from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.match import Rule
from tollmeter.pricing.quote import split_price
from tollmeter.pricing.table import Model
from tollmeter.pricing.units import count_units

TIERS = ("", "batch")
SECOND = timedelta(seconds=1)
ANY_DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _literals(rule: Rule) -> Iterator[str]:
    kind, *operands = rule
    for operand in operands:
        if kind in ("or", "and"):
            yield from _literals(operand)
        elif kind != "regex":
            yield operand


def _moments(model: Model) -> list[datetime]:
    """A second before, at and after each moment at which a price of the model changes."""
    edges: set[datetime] = set()
    for row in (*model.rows, *model.variants):
        if row.since is not None:
            edges.add(datetime.combine(row.since, time(), UTC))
        for edge in row.between or ():
            edges.add(datetime.combine(ANY_DAY, edge, UTC))
    return [ANY_DAY, *(edge + SECOND * off for edge in sorted(edges) for off in (-1, 0, 1))]


def _tiers(model: Model) -> set[str]:
    """The tiers that the model has prices for, and two that it may lack."""
    return {tier for variant in model.variants for tier in variant.when.values()} | set(TIERS)


def _sizes(model: Model) -> set[int]:
    """An input below, at and above each threshold."""
    known = [price for row in (*model.rows, *model.variants) for price in row.prices.values()]
    starts = {start for price in known for start, _ in split_price(price)[1]}
    return {1000} | {start + off for start in starts for off in (-1, 0, 1)}


def _usage(dice: random.Random, whole: int) -> Usage:
    out = dice.choice((0, 1, 777, 65_000))
    read = dice.choice((0, dice.randint(0, whole)))
    audio, image = (dice.randint(0, whole // 3) for _ in range(2)) if dice.random() < 0.3 else (0, 0)
    written = 0 if audio or image else dice.randint(0, whole - read)  # no one says how much of it was media
    return Usage(
        input_tokens=whole,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=dice.choice((0, dice.randint(0, written))),
        reasoning_tokens=dice.choice((0, dice.randint(0, out))),
        input_audio_tokens=audio,
        input_image_tokens=image,
        server_tool_calls={"web_search": dice.choice((0, 0, 3)), "file_search": dice.choice((0, 2))},
    )


def _theirs(provider: str, model: str, usage: Usage, at: datetime, tier: str) -> Any:
    counts = count_units(usage)
    given = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        cache_audio_read_tokens=counts.get("cache_audio_read_mtok", 0),
        cache_image_read_tokens=counts.get("cache_image_read_mtok", 0),
        web_searches=usage.server_tool_calls["web_search"],
        storage_searches=usage.server_tool_calls["file_search"],
    )
    context: dict[str, str] | None = dict.fromkeys(("service_tier", "processing", "speed"), tier) if tier else None
    return genai_prices.calc_price(
        given, model, provider_id=provider, genai_request_timestamp=at, price_context=context
    )


def _rounded(value: Any) -> Decimal:
    return Decimal(value).quantize(Decimal("1e-12"), ROUND_HALF_EVEN)


def test_every_model_costs_what_genai_prices_says_at_every_edge() -> None:
    """Every model, by its dates, tiers and thresholds, each a step to both sides; the table alone, no overlay."""
    book, dice = default_book(), random.Random(20261124)
    seen: Counter[str] = Counter()
    for provider in book.providers.values():
        for model in provider.models:
            name = next(_literals(model.match))
            for at, tier, size in product(_moments(model), sorted(_tiers(model)), sorted(_sizes(model))):
                usage = _usage(dice, size)
                cost = book.price(provider.id, name, usage, at=at, service_tier=tier)
                seen[cost.status] += 1
                if cost.status != COST_UNPRICED:
                    theirs = _theirs(provider.id, name, usage, at, tier)
                    assert cost.cost_usd == _rounded(theirs.total_price), (provider.id, name, usage, at, tier)
    assert sum(seen.values()) > 7000, seen
    assert seen[COST_INCONSISTENT] == 0
    assert seen[COST_UNPRICED] < 0.06 * sum(seen.values()), seen  # no price for tokens at all, or none for output


def test_every_name_in_a_rule_means_the_model_that_genai_prices_finds() -> None:
    book, usage = default_book(), Usage(input_tokens=1, server_tool_calls={"web_search": 0, "file_search": 0})
    names = 0
    for provider in book.providers.values():
        for name in {name for model in provider.models for name in _literals(model.match)}:
            try:
                theirs = _theirs(provider.id, name, usage, ANY_DAY, "").model.id
            except LookupError:
                theirs = None
            ours = book.find(provider.id, name)
            if theirs is not None:  # we also find names with a compact date or in an ARN
                assert ours is not None
                assert ours.model.id == theirs, (provider.id, name)
            names += 1
    assert names > 3500


@pytest.mark.parametrize("name", ["gpt-4o-2099-01-01", "claude-sonnet-9", "my-deployment", "llama3:8b"])
def test_what_genai_prices_does_not_know_is_unpriced(name: str) -> None:
    with pytest.raises(LookupError):
        genai_prices.calc_price(genai_prices.Usage(input_tokens=1), name, provider_id="openai")
    assert default_book().price("openai", name, Usage(input_tokens=1), at=datetime.now(UTC)).cost_usd is None
