"""Costs against genai-prices itself, over every model it knows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import genai_prices
import pytest

from tollmeter.model.names import COST_UNPRICED
from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.match import Rule

INPUTS = (0, 10, 1000, 131_000, 199_999, 200_000, 200_001, 300_000, 2_000_000)
TIERS = ("", "default", "batch", "flex", "priority", "fast")
ROUNDS = 2


def _a_name(rule: Rule) -> str:
    return str(rule[1]) if not isinstance(rule[1], list) else _a_name(rule[1])


def _usage(dice: random.Random) -> Usage:
    whole_in, whole_out = dice.choice(INPUTS), dice.choice((0, 1, 777, 65_000))
    read = dice.randint(0, whole_in)
    written = dice.randint(0, whole_in - read)
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=dice.choice((0, dice.randint(0, written))),
        reasoning_tokens=dice.randint(0, whole_out),
        output_image_tokens=dice.choice((0, whole_out)),
        server_tool_calls={"web_search": dice.choice((0, 0, 3))},
    )


def _theirs(provider: str, model: str, usage: Usage, at: datetime, tier: str) -> Decimal:
    given = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        output_image_tokens=usage.output_image_tokens,
        web_searches=usage.server_tool_calls["web_search"],
    )
    context: dict[str, str] | None = dict.fromkeys(("service_tier", "processing", "speed"), tier) if tier else None
    found = genai_prices.calc_price(
        given, model, provider_id=provider, genai_request_timestamp=at, price_context=context
    )
    return Decimal(found.total_price).quantize(Decimal("1e-12"), ROUND_HALF_EVEN)


def test_every_model_costs_what_genai_prices_says() -> None:
    book, dice = default_book(), random.Random(20261123)
    seen: Counter[str] = Counter()
    for provider in book.providers.values():
        for model in provider.models * ROUNDS:
            name, usage, tier = _a_name(model.match), _usage(dice), dice.choice(TIERS)
            at = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(4 * 365 * 86_400))
            cost = book.price(provider.id, name, usage, at=at, service_tier=tier)
            seen[cost.status] += 1
            if cost.status != COST_UNPRICED:
                assert cost.cost_usd == _theirs(provider.id, name, usage, at, tier), (
                    provider.id,
                    name,
                    usage,
                    at,
                    tier,
                )
    assert sum(seen.values()) == ROUNDS * 2330
    assert seen[COST_UNPRICED] < 0.06 * ROUNDS * 2330, seen  # no price for tokens at all, or none for output


@pytest.mark.parametrize("name", ["gpt-4o-2099-01-01", "claude-sonnet-9", "my-deployment", "llama3:8b"])
def test_what_genai_prices_does_not_know_is_unpriced(name: str) -> None:
    with pytest.raises(LookupError):
        genai_prices.calc_price(genai_prices.Usage(input_tokens=1), name, provider_id="openai")
    assert default_book().price("openai", name, Usage(input_tokens=1), at=datetime.now(UTC)).cost_usd is None
