"""Failures that users of other tools reported, case by case, each from the provider's bytes to the cent.

The numbers are those of the study of peers that this project began with. Elsewhere: 14 (the store is down behind a
dequeue) is what the kills in `tests/crash` try; 15 (a metric renamed, an alarm gone silent) and 16 (burn rates under
uneven traffic) are of alarms, not of cost.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.calls import Call, watching
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap.watch import Watch, begin
from tollmeter.instrumentation.tap.wires import WIRE_OPENAI, WIRES
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode
from tollmeter.model.settings import Settings
from tollmeter.pricing import Cost, Usage, extract_usage
from tollmeter.pricing.book import PriceBook, default_book
from tollmeter.pricing.quote import Price
from tollmeter.pricing.table import Model, Provider, Row, Table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = Usage(input_tokens=1_000_000, output_tokens=0)
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def read(provider: str, document: dict[str, Any], endpoint: str = "/v1/chat/completions") -> Usage:
    body = json.dumps(document).encode()
    usage = extract_usage(provider, endpoint=endpoint, status=200, headers={}, body=body, stream=False)
    assert usage is not None
    return usage


def streamed(provider: str, *documents: dict[str, Any], endpoint: str = "/v1/chat/completions") -> Usage:
    body = b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)
    usage = extract_usage(provider, endpoint=endpoint, status=200, headers={}, body=body, stream=True)
    assert usage is not None
    return usage


def cost(usage: Usage, **prices: Price) -> Cost:
    table = Table("peers", "1", [Provider("p", None, [], [Model("m", ["equals", "m"], [Row(prices)])])])
    return PriceBook(table).price("p", "m", usage, at=NOW)


def listed(provider: str, model: str, usage: Usage = MILLION, **call: Any) -> Decimal | None:
    return default_book().price(provider, model, usage, at=NOW, **call).cost_usd


def test_case_1_anthropic_input_holds_the_cache_once() -> None:
    raw = {"input_tokens": 5, "cache_read_input_tokens": 128_955, "cache_creation_input_tokens": 1_253}
    usage = read("anthropic", {"usage": raw | {"output_tokens": 0}}, "/v1/messages")
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (130_213, 128_955, 1_253)
    found = cost(usage, input_mtok="3", cache_read_mtok="0.3", cache_write_mtok="3.75", output_mtok="15")
    assert found.input_cost_usd == Decimal("0.000015")
    assert found.cost_usd == Decimal("0.04340025")


def test_case_2_a_cache_write_is_charged_once_at_its_own_rate() -> None:
    raw = {"input_tokens": 3, "cache_creation_input_tokens": 12_304, "output_tokens": 550}
    usage = read("anthropic", {"usage": raw}, "/v1/messages")
    assert cost(usage, input_mtok="3", cache_write_mtok="3.75", output_mtok="15").cost_usd == Decimal("0.054399")


def test_case_3_bedrocks_total_holds_the_cache_and_the_output_is_not_what_remains_of_it() -> None:
    raw = {
        "inputTokens": 3, "outputTokens": 442, "totalTokens": 8_712, "cacheReadInputTokens": 7_917,
        "cacheWriteInputTokens": 350,
    }  # fmt: skip
    usage = read("aws.bedrock", {"usage": raw}, "/model/x/converse")
    assert (usage.input_tokens, usage.output_tokens) == (8_270, 442)
    found = cost(usage, input_mtok="3", output_mtok="15", cache_read_mtok="0.3", cache_write_mtok="3.75")
    assert found.output_cost_usd == Decimal("0.00663")
    assert found.cost_usd == Decimal("0.0103266")


def test_case_4_openais_input_holds_the_cache_already() -> None:
    raw = {"prompt_tokens": 9_200, "completion_tokens": 400, "prompt_tokens_details": {"cached_tokens": 9_000}}
    found = cost(read("openai", {"usage": raw}), input_mtok="3", cache_read_mtok="0.3", output_mtok="15")
    assert (found.cost_usd, found.cache_savings_usd) == (Decimal("0.0093"), Decimal("0.0243"))


def test_case_5_a_threshold_reprices_the_whole_request_and_begins_above_it() -> None:
    usage = read("x_ai", {"usage": {"prompt_tokens": 162_732, "completion_tokens": 1_308}})
    grok: dict[str, Price] = {"input_mtok": ["3", [128_000, "6"]], "output_mtok": ["15", [128_000, "30"]]}
    assert cost(usage, **grok).cost_usd == Decimal("1.015632")
    at_200k: dict[str, Price] = {"input_mtok": ["3", [200_000, "6"]], "output_mtok": "15"}
    assert cost(Usage(input_tokens=200_000, output_tokens=0), **at_200k).cost_usd == Decimal("0.6")
    assert cost(Usage(input_tokens=200_001, output_tokens=0), **at_200k).cost_usd == Decimal("1.200006")


def test_case_6_usage_in_a_last_chunk_that_has_choices() -> None:
    raw = {"prompt_tokens": 16_111, "completion_tokens": 14, "prompt_tokens_details": {"cached_tokens": 15_872}}
    said = {"choices": [{"delta": {"content": "word"}, "finish_reason": None}]}
    last = {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}], "usage": raw}
    usage = streamed("openai", said, last)
    assert (usage.input_tokens, usage.cache_read_tokens) == (16_111, 15_872)
    found = cost(usage, input_mtok="0.2", cache_read_mtok="0.05", output_mtok="0.4")
    assert found.cost_usd == Decimal("0.000847")


def test_case_7_cumulative_counts_explicit_zeros_and_a_cost_that_is_no_price() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
    deltas = [{"type": "message_delta", "usage": {"output_tokens": count}} for count in (12, 30)]
    assert streamed("anthropic", start, *deltas, endpoint="/v1/messages").output_tokens == 30
    zero = read("openai", {"usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    assert (zero.source, listed("openai", "gpt-4o", zero)) == ("reported", Decimal(0))
    missing = read("openai", {"choices": []})
    assert (missing.source, listed("openai", "gpt-4o", missing)) == ("missing", None)
    priced_0 = read("openai", {"usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0, "cost": 0}})
    assert listed("openai", "gpt-4o", priced_0) == Decimal("2.5")


BODY = b'data: {"model": "gpt-4o", "choices": [{"delta": {"content": "word"}}]}\n\n'


def ending(how: str) -> list[LlmCall]:
    settings, writer = Settings.load(service="peers"), MemoryWriter()
    recorder = Recorder(settings, writer, LeanTracing(settings), Attributor(settings))
    watch = Watch(Call(recorder, provider="openai", operation="chat"), WIRES[WIRE_OPENAI])
    watch.respond(200, {b"content-type": b"text/event-stream"}, decoded=True)
    if how != "never iterated":
        watch.feed(BODY)
    if how == "cancelled":
        watch.fail(asyncio.CancelledError())
    watch.abandon()
    watch.abandon()  # closed, then collected
    return [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]


@pytest.mark.parametrize("how", ["disconnect or break", "cancelled", "never iterated"])
def test_case_8_every_early_end_is_one_partial_row(how: str) -> None:
    (event,) = ending(how)
    assert event.status == "partial"
    assert (event.cost_usd, event.ttft_ms is None) == (None, how == "never iterated")


def test_case_9_a_call_inside_a_watched_one_is_not_counted_again() -> None:
    class Address:
        host, port, path, query = "api.openai.com", None, "/v1/chat/completions", b""

    token = watching.set(True)
    try:
        assert begin(Address(), {}, b"{}") is None
    finally:
        watching.reset(token)


def test_case_10_a_future_price_leaves_past_calls_alone() -> None:
    rows = [Row({"input_mtok": "2"}), Row({"input_mtok": "1"}, since=datetime(2027, 1, 1, tzinfo=UTC).date())]
    book = PriceBook(Table("peers", "1", [Provider("p", None, [], [Model("m", ["equals", "m"], rows)])]))
    usage = Usage(input_tokens=1_000_000)
    assert book.price("p", "m", usage, at=NOW).cost_usd == 2
    assert book.price("p", "m", usage, at=datetime(2027, 1, 1, tzinfo=UTC)).cost_usd == 1


def test_case_11_bedrock_profiles_long_writes_and_novas_cache() -> None:
    assert listed("aws.bedrock", f"global.{SONNET}") == 3
    assert [listed("aws.bedrock", f"{where}{SONNET}") for where in ("", "us.", "eu.")] == [Decimal("3.3")] * 3
    written = Usage(input_tokens=1_000_000, cache_write_tokens=1_000_000, output_tokens=0)
    hour = Usage(input_tokens=1_000_000, cache_write_tokens=1_000_000, cache_write_1h_tokens=1_000_000, output_tokens=0)
    short, long = listed("aws.bedrock", f"global.{SONNET}", written), listed("aws.bedrock", f"global.{SONNET}", hour)
    assert (short, long) == (Decimal("3.75"), Decimal("3.75") * Decimal("1.6"))
    read_back = Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000, output_tokens=0)
    assert listed("aws.bedrock", "us.amazon.nova-pro-v1:0", read_back) == Decimal("0.2")


def test_case_12_the_tier_that_served_sets_the_price() -> None:
    tiers = [listed("openai", "gpt-5", service_tier=tier) for tier in ("", "default", "batch", "flex", "priority")]
    assert tiers == [Decimal("1.25"), Decimal("1.25"), Decimal("0.625"), Decimal("0.625"), Decimal("2.5")]
    places = [listed("anthropic", "claude-opus-4-6", region=place) for place in ("", "global", "us")]
    assert places == [Decimal(5), Decimal(5), Decimal("5.5")]
    unknown = default_book().price("openai", "gpt-5", MILLION, at=NOW, service_tier="warp")
    assert (unknown.status, unknown.cost_usd) == ("estimated", Decimal("1.25"))


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-9-unheard-of"), ("nobody", "gpt-4o"), ("openai", "")])
def test_case_13_unknown_is_unpriced_and_never_zero(provider: str, model: str) -> None:
    found = default_book().price(provider, model, MILLION, at=NOW)
    assert (found.status, found.cost_usd) == ("unpriced", None)
