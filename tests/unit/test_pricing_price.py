"""Prices: dates, tiers, states, and the failures of others as vectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext

import pytest

from tollmeter.model.names import COST_ESTIMATED, COST_INCONSISTENT, COST_PARTIAL, COST_PRICED, COST_UNPRICED
from tollmeter.pricing import Cost, Usage, price
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.match import is_match
from tollmeter.pricing.quote import Price
from tollmeter.pricing.table import Model, Provider, Row, Table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CLAUDE = "claude-sonnet-4-5"


def _book(*models: Model) -> PriceBook:
    return PriceBook(Table("test", "1", [Provider("acme", None, [], list(models))]))


def _model(name: str, **prices: Price) -> Model:
    return Model(name, ["equals", name], [Row(prices)])


def _usd(cost: Cost) -> Decimal:
    assert cost.cost_usd is not None
    return cost.cost_usd


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-9-unheard-of"), ("nobody", "gpt-4o"), ("", "gpt-4o"), ("openai", "")]
)
def test_unknown_is_unpriced_never_zero(provider: str, model: str) -> None:
    cost = price(provider, model, Usage(input_tokens=10, output_tokens=1), at=NOW)
    assert (cost.status, cost.cost_usd, cost.price_ref) == (COST_UNPRICED, None, "")


def test_a_class_without_price_is_unpriced() -> None:
    book = _book(_model("m", output_mtok="1"))
    assert book.price("acme", "m", Usage(input_tokens=10, output_tokens=1), at=NOW).status == COST_UNPRICED


def test_an_empty_row_is_unpriced_unless_the_name_says_free() -> None:
    book = _book(_model("m"), _model("m:free"))
    usage = Usage(input_tokens=10, output_tokens=1)
    assert book.price("acme", "m", usage, at=NOW).cost_usd is None
    assert book.price("acme", "m:free", usage, at=NOW).cost_usd == 0


def test_a_fee_without_price_makes_the_cost_partial() -> None:
    book = _book(_model("m", input_mtok="1", web_searches_kcount="10"))
    priced = book.price("acme", "m", Usage(input_tokens=10, server_tool_calls={"web_search": 2}), at=NOW)
    partial = book.price("acme", "m", Usage(input_tokens=10, server_tool_calls={"code_interpreter": 1}), at=NOW)
    assert (priced.status, priced.fees_usd) == (COST_PRICED, Decimal("0.02"))
    assert (partial.status, partial.cost_usd) == (COST_PARTIAL, Decimal("0.00001"))


def test_units_that_no_field_counts_are_not_taken_for_zero() -> None:
    book = _book(_model("m", audio_hours="1"), _model("both", audio_hours="1", input_mtok="1"))
    assert book.price("acme", "m", Usage(input_tokens=0, output_tokens=0), at=NOW).status == COST_UNPRICED
    assert book.price("acme", "both", Usage(input_tokens=1), at=NOW).status == COST_PARTIAL


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10, cache_read_tokens=600),
        Usage(input_tokens=10, cache_read_tokens=6, cache_write_tokens=6),
        Usage(input_tokens=10, cache_write_1h_tokens=6),
        Usage(output_tokens=10, reasoning_tokens=11),
        Usage(input_tokens=-1),
        Usage(input_tokens=2**62, output_tokens=1),
    ],
)
def test_contradictions_are_inconsistent_and_cost_nothing_known(usage: Usage) -> None:
    cost = price("openai", "gpt-4o", usage, at=NOW)
    assert (cost.status, cost.cost_usd) == (COST_INCONSISTENT, None)


def test_a_tier_is_a_cliff_for_the_whole_request() -> None:
    """Case 5: at the threshold the base rate, one token more and all tokens at the higher one."""

    def cost(tokens: int) -> Decimal:
        return _usd(price("gcp.gemini", "gemini-2.5-pro", Usage(input_tokens=tokens, output_tokens=0), at=NOW))

    assert cost(200_000) == Decimal("0.25")
    assert cost(200_001) == Decimal("0.5000025")


def test_prices_follow_the_date_of_the_call() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    before = price("openai", "o3", usage, at=datetime(2025, 6, 9, 23, 59, tzinfo=UTC))
    after = price("openai", "o3", usage, at=datetime(2025, 6, 10, tzinfo=UTC))
    elsewhere = price("openai", "o3", usage, at=datetime(2025, 6, 9, 20, tzinfo=timezone(timedelta(hours=-5))))
    assert [_usd(cost) for cost in (before, after, elsewhere)] == [10, 2, 2]
    assert before.price_ref.endswith(" openai/o3")
    assert after.price_ref.endswith(" openai/o3 2025-06-10")


def test_the_served_tier_counts() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    standard = _usd(price("openai", "gpt-5", usage, at=NOW, service_tier="default"))
    flex = price("openai", "gpt-5", usage, at=NOW, service_tier="flex")
    unknown = price("openai", "gpt-4o", usage, at=NOW, service_tier="flex")
    assert (flex.status, _usd(flex)) == (COST_PRICED, standard / 2)
    assert flex.price_ref.endswith(" flex")
    assert (unknown.status, unknown.price_ref.split()[-1]) == (COST_ESTIMATED, "standard")


def test_estimated_usage_gives_an_estimated_cost() -> None:
    cost = price("openai", "gpt-4o", Usage(input_tokens=1, output_tokens=1, source="estimated"), at=NOW)
    assert cost.status == COST_ESTIMATED


def test_an_exact_name_beats_a_prefix_that_stands_first() -> None:
    prefix = Model("any", ["starts_with", "gpt"], [Row({"input_mtok": "9"})])
    book = _book(prefix, _model("gpt-4o", input_mtok="1"))
    assert _usd(book.price("acme", "GPT-4o", Usage(input_tokens=1_000_000), at=NOW)) == 1


@pytest.mark.parametrize(
    ("provider", "model", "row"),
    [
        ("azure.ai.openai", "gpt-4o", "openai/gpt-4o"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/regional.anthropic.claude-sonnet-4-5"),
        ("gcp.vertex_ai", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("x_ai", "grok-4", "x-ai/grok-4"),
        ("mistral_ai", "mistral-large-latest", "mistral/mistral-large"),
        ("anthropic", CLAUDE, f"anthropic/{CLAUDE}"),
        ("openai", "gpt-5.2-20251211", "openai/gpt-5.2"),
    ],
)
def test_opentelemetry_provider_names_find_their_prices(provider: str, model: str, row: str) -> None:
    cost = price(provider, model, Usage(input_tokens=1, output_tokens=1), at=NOW)
    assert row in cost.price_ref


def test_the_host_may_round_its_own_decimals() -> None:
    usage = Usage(input_tokens=123_457, output_tokens=1)
    exact = price("openai", "gpt-4o", usage, at=NOW)
    with localcontext() as context:
        context.prec = 3
        assert price("openai", "gpt-4o", usage, at=NOW) == exact
        book = _book(_model("m", input_mtok="1.23456789", output_mtok="0"))
        assert book.price("acme", "m", Usage(input_tokens=1_000_000, output_tokens=1), at=NOW).cost_usd == Decimal(
            "1.23456789"
        )


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="'fuzzy' is not known"):
        is_match(["fuzzy", "x"], "x")


SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        (f"global.{SONNET}", "3"),
        *((f"{geography}.{SONNET}", "3.3") for geography in ("us", "eu", "apac", "jp", "au", "us-gov")),
        (SONNET, "3.3"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{SONNET}", "3.3"),
        (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{SONNET}", "3.3"),
        (f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/global.{SONNET}", "3"),
    ],
)
def test_bedrock_regional_and_geographic_profiles(model: str, usd: str) -> None:
    """Case 11."""
    assert _usd(price("aws.bedrock", model, Usage(input_tokens=1_000_000, output_tokens=0), at=NOW)) == Decimal(usd)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", CLAUDE), ("aws.bedrock", f"us.{SONNET}"), ("aws.bedrock", f"global.{SONNET}")],
)
def test_a_write_for_an_hour_costs_1_6_times_one_for_five_minutes(provider: str, model: str) -> None:
    """Case 11."""
    short = Usage(input_tokens=100_000, cache_write_tokens=100_000, output_tokens=0)
    long = Usage(input_tokens=100_000, cache_write_tokens=100_000, cache_write_1h_tokens=100_000, output_tokens=0)
    costs = [price(provider, model, usage, at=NOW) for usage in (short, long)]
    assert _usd(costs[1]) == _usd(costs[0]) * Decimal("1.6")
    assert [cost.status for cost in costs] == [COST_PRICED, COST_PRICED]


def test_a_write_for_an_hour_whose_price_is_not_known_is_an_estimate() -> None:
    usage = Usage(input_tokens=10, cache_write_tokens=10, output_tokens=0)
    longer = Usage(input_tokens=10, cache_write_tokens=10, cache_write_1h_tokens=1, output_tokens=0)
    book = _book(_model("m", input_mtok="3", cache_write_mtok="3.75", output_mtok="15"))
    found = [book.price("acme", "m", each, at=NOW) for each in (usage, longer)]
    assert [(cost.status, _usd(cost)) for cost in found] == [
        (COST_PRICED, Decimal("0.0000375")),
        (COST_ESTIMATED, Decimal("0.0000375")),
    ]


@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", "eu.amazon.nova-lite-v1:0", "us.amazon.nova-micro-v1:0"])
def test_novas_cache_reads_cost_a_quarter_and_not_nothing(model: str) -> None:
    """Case 11."""
    cached = Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000, output_tokens=0)
    plain = Usage(input_tokens=1_000_000, output_tokens=0)
    costs = [_usd(price("aws.bedrock", model, usage, at=NOW)) for usage in (plain, cached)]
    assert 0 < costs[1] == costs[0] / 4


def test_anthropics_inference_in_the_us_costs_a_tenth_more() -> None:
    """Case 12: on tokens of every class, and not on searches."""
    usage = Usage(
        input_tokens=100_000, cache_read_tokens=40_000, cache_write_tokens=10_000, output_tokens=1_000,
        server_tool_calls={"web_search": 1},
    )  # fmt: skip
    costs = [price("anthropic", "claude-opus-5", usage, at=NOW, region=region) for region in ("", "global", "us")]
    assert costs[0] == costs[1]
    assert _usd(costs[2]) - Decimal("0.01") == (_usd(costs[0]) - Decimal("0.01")) * Decimal("1.1")
    assert costs[2].price_ref.endswith("; premium supplement.json#anthropic-us-only 2026-02-01")


@pytest.mark.parametrize(("tier", "share"), [("batch", "0.5"), ("fast", "2"), ("", "1")])
def test_anthropics_tiers(tier: str, share: str) -> None:
    """Case 12."""
    usage = Usage(input_tokens=1_000, output_tokens=1_000)
    cost = price("anthropic", "claude-opus-5", usage, at=NOW, service_tier=tier)
    assert (cost.status, _usd(cost)) == (COST_PRICED, Decimal("0.03") * Decimal(share))


def test_grok_above_its_threshold() -> None:
    """Case 5: 162,732 + 1,308 tokens at 6 and 30 USD, the whole request."""
    book = _book(_model("m", input_mtok=["3", [128_000, "6"]], output_mtok=["15", [128_000, "30"]]))
    assert _usd(book.price("acme", "m", Usage(input_tokens=162_732, output_tokens=1_308), at=NOW)) == Decimal(
        "1.015632"
    )


def test_media_that_overlap_what_was_written_are_inconsistent_and_never_negative() -> None:
    book = _book(_model("m", input_mtok="1", output_mtok="1", cache_write_mtok="2", input_audio_mtok="3"))
    usage = Usage(input_tokens=100, cache_write_tokens=80, input_audio_tokens=80, output_tokens=0)
    assert book.price("acme", "m", usage, at=NOW).status == COST_INCONSISTENT
