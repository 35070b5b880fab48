"""One recorded call and its price: the order of its names, its ending, and the service's own cache."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.pricing import Usage
from tollmeter.pricing.book import PriceBook, default_book
from tollmeter.pricing.call import cost_columns, price_call
from tollmeter.pricing.cost import UNPRICED, Cost

NOW = datetime(2026, 11, 1, tzinfo=UTC)
USAGE = Usage(input_tokens=1000, output_tokens=0)


def priced(book: PriceBook | None = None, usage: Usage | None = USAGE, **columns: Any) -> Cost:
    given: dict[str, Any] = {"provider": "openai", "request_model": "gpt-4o", "response_model": "", "status": "ok"}
    return price_call(book or default_book(), usage, at=NOW, **(given | columns))


def test_the_model_that_answered_is_priced_and_else_the_one_asked_for() -> None:
    assert priced(response_model="gpt-4o-mini").cost_usd == Decimal("0.00015")
    assert priced(response_model="nobody-knows").cost_usd == Decimal("0.0025")
    assert priced().cost_usd == Decimal("0.0025")


def test_bedrock_is_priced_by_the_name_asked_for() -> None:
    plain, profile = "anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-lite-v1:0"
    asked = priced(provider="aws.bedrock", request_model=profile, response_model=plain)
    assert asked == priced(provider="aws.bedrock", request_model=profile)
    assert "nova-lite" in asked.price_ref
    answered = priced(provider="aws.bedrock", request_model="arn:aws:bedrock:::unknown/x", response_model=plain)
    assert answered == priced(provider="aws.bedrock", request_model=plain)
    assert "claude-sonnet-4-5" in answered.price_ref


def test_an_abandoned_call_is_partial_and_an_unpriced_one_stays_so() -> None:
    assert priced(status="partial").status == "partial"
    assert priced(status="partial", request_model="nobody-knows").status == "unpriced"
    assert priced(status="partial", usage=Usage(input_tokens=1, output_tokens=0, source="estimated")).status == (
        "estimated"
    )


@pytest.mark.parametrize("usage", [None, Usage(source="missing"), Usage(input_tokens=1, output_tokens=1)])
def test_an_answer_from_the_services_own_cache_costs_nothing(usage: Usage | None) -> None:
    cost, would = priced(usage=usage, cache_hit=True), priced(usage=usage)
    assert (cost.status, cost.cost_usd, cost.input_cost_usd) == ("priced", Decimal(0), Decimal(0))
    assert (cost.cache_savings_usd, cost.price_ref) == (would.cost_usd, would.price_ref)


def test_usage_that_is_missing_is_unpriced() -> None:
    assert priced(usage=None) == priced(usage=Usage(source="missing")) == UNPRICED
    assert cost_columns(UNPRICED) == dict.fromkeys(cost_columns(UNPRICED)) | {
        "cost_status": "unpriced",
        "price_ref": "",
    }
