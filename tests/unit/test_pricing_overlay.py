"""Overlays: what they say of prices, and how they answer a slip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollmeter.model.errors import DefinitionError
from tollmeter.model.names import COST_ESTIMATED, COST_PARTIAL, COST_PRICED, COST_UNPRICED
from tollmeter.pricing import Cost, Usage
from tollmeter.pricing.book import PriceBook, open_book
from tollmeter.pricing.overlay_file import parse_overlay
from tollmeter.pricing.table import Model, Provider, Row, Table, Variant, read_table

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ZERO = Decimal(0)
TABLE = read_table()
MILLION = Usage(input_tokens=1_000_000, output_tokens=0)
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2"
PROVISIONED = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/Xyz"


def book(text: str) -> PriceBook:
    return PriceBook(TABLE, parse_overlay("currency: USD\n" + text, "acme.yaml"))


def cost(text: str, provider: str, model: str, usage: Usage = MILLION, *, at: datetime = NOW, **call: Any) -> Cost:
    return book(text).price(provider, model, usage, at=at, **call)


NEGOTIATED = """
prices:
  - {name: gpt4o, provider: openai, model: gpt-4o, valid_from: 2026-01-01, prices: {input_mtok: 2.00}}
  - {name: gpt4o-next, provider: openai, model: gpt-4o, valid_from: 2026-07-01, prices: {input_mtok: 1.5}}
"""


@pytest.mark.parametrize("name", ["gpt-4o", "GPT-4o", "gpt-4o-2024-08-06"])
def test_a_negotiated_price_holds_for_every_name_of_the_model(name: str) -> None:
    found = cost(NEGOTIATED, "openai", name)
    assert (found.status, found.cost_usd) == (COST_PRICED, Decimal(2))
    assert found.price_ref == "acme.yaml#gpt4o 2026-01-01 over genai-prices 0.2.3 openai/gpt-4o"


def test_it_holds_for_no_other_model_or_provider() -> None:
    assert cost(NEGOTIATED, "openai", "gpt-4o-mini").price_ref == "genai-prices 0.2.3 openai/gpt-4o-mini"
    assert cost(NEGOTIATED, "azure.ai.openai", "gpt-4o").cost_usd == Decimal("2.5")


def test_a_class_it_leaves_out_keeps_its_list_price() -> None:
    found = cost(NEGOTIATED, "openai", "gpt-4o", Usage(input_tokens=1000, cache_read_tokens=1000, output_tokens=1000))
    assert (found.cache_read_cost_usd, found.output_cost_usd) == (Decimal("0.00125"), Decimal("0.01"))


def test_prices_follow_valid_from_to_the_second_in_any_order_asked() -> None:
    prices = book(NEGOTIATED)
    start, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    asked = [later, start - second, start, later - second, later, start - second]
    found = [prices.price("openai", "gpt-4o", MILLION, at=at).cost_usd for at in asked]
    assert found == [Decimal("1.5"), Decimal("2.5"), 2, 2, Decimal("1.5"), Decimal("2.5")]


def test_valid_until_ends_a_row() -> None:
    text = "prices:\n  - {name: a, provider: openai, model: gpt-4o, valid_from: 2026-01-01, valid_until: 2026-06-01T12:00:00+02:00, prices: {input_mtok: 1}}\n"  # noqa: E501
    end = datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert cost(text, "openai", "gpt-4o", at=end - timedelta(microseconds=1)).cost_usd == 1
    assert cost(text, "openai", "gpt-4o", at=end).cost_usd == Decimal("2.5")


def test_a_model_the_table_lacks_and_one_of_a_provider_it_lacks() -> None:
    text = """
prices:
  - {name: a, provider: my-gateway, model: house-7b, valid_from: 2026-01-01, prices: {input_mtok: 0.1, output_mtok: 0}}
  - {name: b, provider: aws.bedrock, model: cohere.command-r-plus-v1:0, valid_from: 2026-01-01, prices: {input_mtok: 3}}
"""
    found = cost(text, "my-gateway", "house-7b")
    assert (found.cost_usd, found.price_ref) == (Decimal("0.1"), "acme.yaml#a 2026-01-01")
    assert cost(text, "my-gateway", "house-70b").status == COST_UNPRICED
    assert cost(text, "aws.bedrock", "us.cohere.command-r-plus-v1:0").cost_usd == 3
    assert cost(text, "my-gateway", "house-7b", at=datetime(2025, 12, 31, tzinfo=UTC)).status == COST_UNPRICED


def test_the_start_of_names_and_the_exact_name_that_beats_it() -> None:
    text = """
prices:
  - {name: any, provider: openai, model: "ft:*", valid_from: 2026-05-01, prices: {input_mtok: 9, output_mtok: 9}}
  - {name: acme, provider: openai, model: "ft:gpt-4o:acme*", valid_from: 2026-01-01, prices: {input_mtok: 8}}
  - {name: one, provider: openai, model: "ft:gpt-4o:acme::x", valid_from: 2026-01-01, prices: {input_mtok: 7}}
"""
    names = ["ft:gpt-4o:other::x", "ft:gpt-4o:acme::y", "ft:gpt-4o:acme::x"]
    assert [cost(text, "openai", name).cost_usd for name in names] == [9, 8, 7]


def test_whole_request_tiers_of_a_row() -> None:
    text = """
prices:
  - name: big
    provider: anthropic
    model: claude-sonnet-4-5
    valid_from: 2026-01-01
    prices: {input_mtok: 2.5, output_mtok: 12}
    above:
      200000: {input_mtok: 5, output_mtok: 18}
      1000000: {input_mtok: 6}
"""
    sizes = (200_000, 200_001, 1_000_000, 1_000_001)
    found = [cost(text, "anthropic", "claude-sonnet-4-5", Usage(input_tokens=n, output_tokens=1000)) for n in sizes]
    assert [each.cost_usd for each in found] == [
        Decimal("0.512"), Decimal("1.018005"), Decimal("5.018"), Decimal("6.018006"),
    ]  # fmt: skip


def test_a_discount_is_taken_off_list_prices_alone() -> None:
    text = (
        NEGOTIATED
        + """
discounts:
  - {name: edp, provider: openai, percent: 12.5, valid_from: 2026-01-01}
  - {name: mini, provider: openai, model: gpt-4o-mini, percent: 50, valid_from: 2026-01-01}
"""
    )
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    own, plain = cost(text, "openai", "gpt-4o", usage), cost(text, "openai", "gpt-4.1", usage)
    assert (own.input_cost_usd, own.output_cost_usd) == (Decimal(2), Decimal("8.75"))
    assert plain.cost_usd == Decimal("8.75")
    assert plain.price_ref.endswith(" openai/gpt-4.1; discount acme.yaml#edp 2026-01-01")
    assert cost(text, "openai", "gpt-4o-mini").cost_usd == Decimal("0.075")


def test_an_exact_third_of_a_percent_is_not_rounded() -> None:
    text = "discounts:\n  - {name: d, provider: openai, percent: 33.3333, valid_from: 2026-01-01}\n"
    found = cost(text, "openai", "gpt-4o-mini", Usage(input_tokens=3000, output_tokens=0))
    assert found.cost_usd == Decimal("0.00030000015")  # 3000 x 0.15e-6 x 0.666667


BEDROCK_TIERS = """
discounts:
  - {name: batch, provider: aws.bedrock, service_tier: batch, percent: 50, valid_from: 2026-01-01}
  - {name: flex, provider: aws.bedrock, service_tier: flex, percent: 50, valid_from: 2026-01-01}
premiums:
  - {name: priority, provider: aws.bedrock, service_tier: priority, percent: 75, valid_from: 2026-01-01}
"""


@pytest.mark.parametrize(("tier", "usd"), [("", "3.3"), ("batch", "1.65"), ("flex", "1.65"), ("priority", "5.775")])
def test_tiers_the_table_lacks(tier: str, usd: str) -> None:
    """Case 12: the served tier."""
    found = cost(BEDROCK_TIERS, "aws.bedrock", f"us.{SONNET}", service_tier=tier)
    assert (found.status, found.cost_usd) == (COST_PRICED, Decimal(usd))
    assert cost("", "aws.bedrock", f"us.{SONNET}", service_tier="batch").status == COST_ESTIMATED


def test_a_tier_discount_replaces_what_the_table_has_for_the_tier() -> None:
    text = "discounts:\n  - {name: b, provider: openai, service_tier: batch, percent: 60, valid_from: 2026-01-01}\n"
    at = datetime(2026, 11, 1, tzinfo=UTC)
    assert cost("", "openai", "gpt-5", at=at, service_tier="batch").cost_usd == Decimal("0.625")
    assert cost(text, "openai", "gpt-5", at=at, service_tier="batch").cost_usd == Decimal("0.5")


def test_a_row_of_a_tier_prices_that_tier_alone() -> None:
    text = """
prices:
  - {name: f, provider: openai, model: gpt-4o, service_tier: flex, valid_from: 2026-01-01, prices: {input_mtok: 1}}
"""
    assert cost(text, "openai", "gpt-4o").cost_usd == Decimal("2.5")
    assert cost(text, "openai", "gpt-4o", service_tier="flex").cost_usd == 1
    assert cost(text, "openai", "gpt-4o", service_tier="flex").status == COST_PRICED
    assert cost(text, "openai", "gpt-4o", service_tier="priority").cost_usd == Decimal("2.5")


def test_a_premium_of_a_region() -> None:
    """Case 12: inference_geo=us costs 1.1 times as much."""
    text = "premiums:\n  - {name: us, provider: anthropic, region: us, percent: 10, valid_from: 2026-02-01}\n"
    usage = Usage(input_tokens=100_000, output_tokens=0, server_tool_calls={"web_search": 1})
    here, there = (cost(text, "anthropic", "claude-sonnet-4-5", usage, region=geo) for geo in ("us", "global"))
    assert (here.input_cost_usd, here.fees_usd) == (Decimal("0.33"), Decimal("0.01"))
    assert there.input_cost_usd == Decimal("0.3")


def test_rows_of_a_region_and_of_a_geography() -> None:
    """Case 11: an entry with a geography in its name is for that one alone."""
    text = f"""
prices:
  - {{name: eu, provider: aws.bedrock, model: "eu.{SONNET}", valid_from: 2026-01-01, prices: {{input_mtok: 3.2}}}}
  - {{name: any, provider: aws.bedrock, model: "{SONNET}", valid_from: 2026-01-01, prices: {{input_mtok: 3.1}}}}
  - {{name: sp, provider: aws.bedrock, model: "{SONNET}", region: sa-east-1, valid_from: 2026-01-01, prices: {{input_mtok: 4}}}}
"""  # noqa: E501
    arn = "arn:aws:bedrock:{}:123456789012:inference-profile/{}." + SONNET
    asked = [
        f"eu.{SONNET}",
        f"us.{SONNET}",
        SONNET,
        f"global.{SONNET}",
        arn.format("eu-west-1", "eu"),
        arn.format("sa-east-1", "us"),
    ]
    found = [cost(text, "aws.bedrock", name).cost_usd for name in asked]
    assert found == [Decimal("3.2"), Decimal("3.1"), Decimal("3.1"), 3, Decimal("3.2"), 4]
    assert cost(text, "aws.bedrock", SONNET, region="sa-east-1").cost_usd == 4
    assert cost(text, "aws.bedrock", SONNET, region="sa-east-10").cost_usd == Decimal("3.1")


@pytest.mark.parametrize(
    "call",
    [
        {"model": PROFILE},
        {"model": "", "resource_id": PROFILE},
        {"model": "claude-sonnet-4-5-20250929", "resource_id": PROFILE},
    ],
)
def test_an_application_inference_profile_is_mapped_to_its_model(call: dict[str, str]) -> None:
    text = f"resources:\n  - {{name: p, provider: aws.bedrock, resource_id: '{PROFILE}', model: 'global.{SONNET}', valid_from: 2026-01-01}}\n"  # noqa: E501
    found = book(text).price("aws.bedrock", usage=MILLION, at=NOW, **call)
    assert found.cost_usd == 3
    assert found.price_ref.endswith("; model acme.yaml#p 2026-01-01")
    assert book("").price("aws.bedrock", PROFILE, MILLION, at=NOW).status == COST_UNPRICED


def test_a_deployment_is_mapped_by_date() -> None:
    text = """
resources:
  - {name: d1, provider: azure.ai.openai, resource_id: chat-prod, model: gpt-4o, valid_from: 2026-01-01}
  - {name: d2, provider: azure.ai.openai, resource_id: chat-prod, model: gpt-4.1, valid_from: 2026-06-01}
"""
    found = [cost(text, "azure.ai.openai", "chat-prod", at=NOW - timedelta(seconds=second)) for second in (1, 0)]
    assert [each.cost_usd for each in found] == [Decimal("2.5"), 2]


def test_committed_calls_are_never_also_priced_per_token() -> None:
    text = f"""
commitments:
  - name: pt
    provider: aws.bedrock
    resource_id: {PROVISIONED}
    model: {SONNET}
    usd_per_hour: 39.6
    tokens_per_minute: 20000
    valid_from: 2026-05-01T12:00:00Z
    valid_until: 2026-11-01
"""
    prices = book(text)
    usage = Usage(input_tokens=1_000_000, output_tokens=5, source="estimated", server_tool_calls={"web_search": 1})
    for call in ({"model": PROVISIONED}, {"model": SONNET, "resource_id": PROVISIONED}):
        found = prices.price("aws.bedrock", usage=usage, at=NOW, **call)
        assert (found.status, found.cost_usd, found.fees_usd) == (COST_PRICED, ZERO, ZERO)
        assert found.price_ref == "acme.yaml#pt 2026-05-01T12:00:00Z commitment"
    assert prices.price("aws.bedrock", SONNET, MILLION, at=NOW).cost_usd == Decimal("3.3")
    ended = prices.price("aws.bedrock", PROVISIONED, MILLION, at=datetime(2026, 11, 1, tzinfo=UTC))
    assert ended.status == COST_UNPRICED
    (commitment,) = prices.commitments
    assert (commitment.provider, commitment.resource_id, commitment.model) == ("aws.bedrock", PROVISIONED, SONNET)
    assert (commitment.usd_per_hour, commitment.tokens_per_minute) == (Decimal("39.6"), 20_000)
    assert (commitment.valid_from.hour, commitment.valid_until) == (12, datetime(2026, 11, 1, tzinfo=UTC))


def test_fees_by_tool() -> None:
    text = """
fees:
  - {name: ci, provider: openai, tool: code_interpreter, usd_per_use: 0.03, valid_from: 2026-01-01}
  - {name: ws, provider: openai, model: gpt-4o, tool: web_search, usd_per_use: 0.008, valid_from: 2026-01-01}
"""
    usage = Usage(input_tokens=0, output_tokens=0, server_tool_calls={"code_interpreter": 2, "web_search": 3})
    found, other = cost(text, "openai", "gpt-4o", usage), cost(text, "openai", "gpt-4.1", usage)
    assert (found.status, found.fees_usd) == (COST_PRICED, Decimal("0.084"))
    assert found.price_ref.endswith("openai/gpt-4o; fee acme.yaml#ci 2026-01-01; fee acme.yaml#ws 2026-01-01")
    assert other.fees_usd == Decimal("0.09")
    assert cost("", "openai", "gpt-4o", usage).status == COST_PARTIAL
    assert "fee" not in cost(text, "openai", "gpt-4o").price_ref


def test_a_row_without_tier_leaves_the_tables_tiers_alone() -> None:
    rows, when = [Row({"input_mtok": "4"})], {"processing": "batch"}
    table = Table(
        "t",
        "1",
        [Provider("p", None, [], [Model("m", ["equals", "m"], rows, [Variant({"input_mtok": "2"}, when=when)])])],
    )
    text = "currency: USD\nprices:\n- {name: a, provider: p, model: m, valid_from: 2026-01-01, prices: {input_mtok: 3}}"
    found = PriceBook(table, parse_overlay(text, "acme.yaml"))
    by_tier = [found.price("p", "m", MILLION, at=NOW, service_tier=tier) for tier in ("", "batch", "flex")]
    assert [each.cost_usd for each in by_tier] == [3, 2, 3]
    assert [each.status for each in by_tier] == [COST_PRICED, COST_PRICED, COST_ESTIMATED]


def test_json_needs_no_yaml_and_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    path.write_text(
        '{"currency": "USD", "prices": [{"name": "a", "provider": "openai", "model": "gpt-4o", '
        '"valid_from": "2026-01-01", "prices": {"input_mtok": 2.10, "output_mtok": "8"}, "above": {}}]}'
    )
    prices = open_book(path)
    assert prices is open_book(str(path))
    assert prices.price("openai", "gpt-4o", MILLION, at=NOW).cost_usd == Decimal("2.1")


ROW = "name: a, provider: openai, model: gpt-4o, valid_from: 2026-01-01, prices: {input_mtok: 1}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prices: []", "line 1: leaving out currency is not allowed"),
        ("currency: EUR", "line 1: currency: 'EUR' is not allowed: expected one of USD"),
        ("currency: USD\nprice: []", "line 2: key 'price' is not allowed: expected commitments, currency, discounts"),
        ("currency: USD\nprices: 3", "line 2: prices: 3 is not allowed: expected a list of mappings"),
        ("currency: USD\nprices:\n  - {name: a}", "line 3: leaving out model"),
        (f"currency: USD\nprices:\n  - {{{ROW}, tier: x}}", "line 3: key 'tier' is not allowed: expected above,"),
        (f"currency: USD\nprices:\n  - {{{ROW}}}\n  - {{{ROW}}}", "line 4: name: 'a' is not allowed: expected a name"),
        (f"currency: USD\nprices:\n  - {{{ROW}}}\n  - {{{ROW.replace('name: a', 'name: b')}}}", "line 4: valid_from: .* than that of a"),  # noqa: E501
        (f"currency: USD\nprices:\n  - {{{ROW.replace('2026-01-01', '2026-13-01')}}}", "line 3: .*2026-13-01"),
        (f"currency: USD\nprices:\n  - {{{ROW.replace('2026-01-01', '2026-01-01T10:00:00')}}}", "a time with its zone"),
        (f"currency: USD\nprices:\n  - {{{ROW.replace('input_mtok', 'input')}}}", "key 'input' is not allowed: expected input_mtok"),  # noqa: E501
        (f"currency: USD\nprices:\n  - {{{ROW.replace(': 1}', ': -1}')}}}", "line 3: input_mtok: -1 is not allowed: expected a number from 0"),  # noqa: E501
        (f"currency: USD\nprices:\n  - {{{ROW.replace(': 1}', ': .nan}')}}}", "input_mtok: nan is not allowed"),
        (f"currency: USD\nprices:\n  - {{{ROW.replace(': 1}', ': 0.0000000000001}')}}}", "at most 12 decimal places"),
        (f"currency: USD\nprices:\n  - {{{ROW.replace(': 1}', ': true}')}}}", "input_mtok: True is not allowed"),
        (f"currency: USD\nprices:\n  - {{{ROW}, above: {{many: {{input_mtok: 1}}}}}}", "above: many is not allowed: expected a number"),  # noqa: E501
        (f"currency: USD\nprices:\n  - {{{ROW}, above: {{9: {{output_mtok: 1}}}}}}", "output_mtok: 1 is not allowed: expected a class that"),  # noqa: E501
        (f"currency: USD\nprices:\n  - {{{ROW}, valid_until: 2026-01-01}}", "valid_until: .* expected a time after"),
        ("currency: USD\ndiscounts:\n  - {name: a, provider: openai, percent: 101, valid_from: 2026-01-01}", "percent: 101 is not"),  # noqa: E501
        ("currency: USD\nfees:\n  - {name: a, provider: o, tool: x, usd_per_use: 1, service_tier: flex, valid_from: 2026-01-01}", "key 'service_tier'"),  # noqa: E501
        ("currency: USD\n  x: 1", "line 2: mapping values are not allowed here"),
        ("- a", "what is no mapping"),
        ("currency: &a {b: *a}", "an alias of what it stands in"),
        ("currency: !!python/name:os.system x", "is not allowed: expected YAML"),
    ],
)  # fmt: skip
def test_a_slip_is_named_by_file_line_value_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        parse_overlay(text, "acme.yaml")
    assert str(caught.value).startswith("acme.yaml, line ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"currency":\n "EUR"}', "line 1: currency: 'EUR' is not allowed: expected one of USD"),
        ('{"currency": "USD",\n "prices": [\n {"name": "a",\n "model": 3}]}', "line 4: model: 3|line 3: leaving out"),
        ('{"currency": "USD",\n\n "currency": "USD"}', "line 3: giving currency twice"),
        ('{"currency": "USD",\n}', "line 2: .* is not allowed: expected JSON|line 1: .* expected JSON"),
        ("[]", "what is no mapping"),
    ],
)
def test_a_slip_in_json_too(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse_overlay(text, "acme.json")
