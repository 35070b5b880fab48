"""Anthropic-shaped answers to inclusive usage: quirks by hand, and what they cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.model.names import COST_UNPRICED, USAGE_MISSING
from tollmeter.pricing import FurtherUsage, Usage, extract_further, extract_usage, price
from tollmeter.pricing.shapes import anthropic

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MISSING = Usage(source=USAGE_MISSING)


def _extract(
    body: Any, *, provider: str = "anthropic", endpoint: str = "/v1/messages", stream: bool = False
) -> Usage | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return extract_usage(provider, endpoint=endpoint, status=200, headers={}, body=data, stream=stream)


def _sse(*events: Any) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def _start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": usage}}


def _delta(**usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_cache_reads_and_writes_are_added_to_the_input_once() -> None:
    raw = {
        "input_tokens": 5,
        "cache_read_input_tokens": 128955,
        "cache_creation_input_tokens": 1253,
        "output_tokens": 9,
    }
    usage = _extract({"type": "message", "usage": raw})
    assert usage == Usage(input_tokens=130213, output_tokens=9, cache_read_tokens=128955, cache_write_tokens=1253)


def test_a_written_cache_costs_what_the_bill_said() -> None:
    usage = _extract({"usage": {"input_tokens": 3, "cache_creation_input_tokens": 12304, "output_tokens": 550}})
    assert usage is not None
    assert price("anthropic", "claude-sonnet-4-5", usage, at=NOW).cost_usd == Decimal("0.054399")


def test_everything_one_answer_can_say() -> None:
    raw = {
        "input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 18},
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 25},
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2},
        "service_tier": "standard",
    }
    assert _extract({"usage": raw}) == Usage(
        input_tokens=60,
        output_tokens=40,
        cache_read_tokens=20,
        cache_write_tokens=30,
        cache_write_1h_tokens=18,
        reasoning_tokens=25,
        server_tool_calls={"web_search": 3},
    )


def test_the_breakdown_alone_tells_what_was_written() -> None:
    made = {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 18}
    usage = _extract({"usage": {"input_tokens": 1, "output_tokens": 1, "cache_creation": made}})
    assert usage is not None
    assert (usage.input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens) == (31, 30, 18)


def test_counts_of_a_stream_are_cumulative_and_never_summed() -> None:
    body = _sse(
        _start(input_tokens=472, cache_read_input_tokens=100, output_tokens=2),
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 'the "usage" of words'}},
        _delta(output_tokens=30),
        _delta(output_tokens=89),
        {"type": "message_stop"},
    )
    assert _extract(body, stream=True) == Usage(input_tokens=572, output_tokens=89, cache_read_tokens=100)


def test_the_last_input_count_wins_over_the_first() -> None:
    body = _sse(
        _start(input_tokens=2679, cache_read_input_tokens=10, cache_creation_input_tokens=5, output_tokens=3),
        _delta(input_tokens=10682, cache_read_input_tokens=0, output_tokens=510),
    )
    usage = _extract(body, stream=True)
    assert usage == Usage(input_tokens=10687, output_tokens=510, cache_read_tokens=0, cache_write_tokens=5)


def test_searches_and_long_lived_writes_survive_a_delta_that_tells_neither() -> None:
    start = _start(input_tokens=1, output_tokens=1)
    start["message"]["usage"] |= {
        "cache_creation": {"ephemeral_1h_input_tokens": 7},
        "server_tool_use": {"web_search_requests": 1},
    }
    usage = _extract(_sse(start, _delta(output_tokens=5)), stream=True)
    assert usage is not None
    assert (usage.input_tokens, usage.cache_write_1h_tokens, usage.server_tool_calls) == (8, 7, {"web_search": 1})


def test_a_stream_cut_before_its_end_tells_what_was_seen() -> None:
    whole = _sse(_start(input_tokens=472, output_tokens=2), _delta(output_tokens=89))
    assert _extract(whole[:-20], stream=True) == Usage(input_tokens=472, output_tokens=2)
    assert _extract(b"event: message_start\n", stream=True) == MISSING


def test_explicit_zero_is_not_missing_and_a_cost_of_zero_is_not_a_price() -> None:
    zero = _extract({"usage": {"input_tokens": 0, "output_tokens": 0}})
    assert zero == Usage(input_tokens=0, output_tokens=0)
    told = _extract({"usage": {"input_tokens": 9, "output_tokens": 1, "cost": 0}})
    assert told is not None
    assert price("anthropic", "claude-made-up", told, at=NOW).status == COST_UNPRICED
    assert price("anthropic", "claude-sonnet-4-5", told, at=NOW).cost_usd == Decimal("0.000042")


ADVISED = {
    "input_tokens": 412,
    "output_tokens": 531,
    "iterations": [
        {"type": "message", "input_tokens": 412, "output_tokens": 89},
        {
            "type": "advisor_message",
            "model": "claude-opus-4-6",
            "input_tokens": 823,
            "cache_read_input_tokens": 100,
            "output_tokens": 1612,
        },
        {"type": "message", "input_tokens": 1348, "output_tokens": 442},
        {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
        {"type": "of_tomorrow", "input_tokens": 7, "output_tokens": 7},
    ],
}
INSIDE = [
    FurtherUsage("claude-opus-4-6", Usage(input_tokens=923, output_tokens=1612, cache_read_tokens=100)),
    FurtherUsage("", Usage(input_tokens=180000, output_tokens=3500)),
]


@pytest.mark.parametrize(
    ("provider", "endpoint", "expected"),
    [("anthropic", "/v1/messages", INSIDE), ("gcp.vertex_ai", ":rawPredict", INSIDE), ("openai", "/responses", [])],
)
def test_an_advisor_and_compaction_are_calls_of_their_own(
    provider: str, endpoint: str, expected: list[FurtherUsage]
) -> None:
    body = json.dumps({"type": "message", "usage": ADVISED}).encode()
    assert _extract(body) == Usage(input_tokens=412, output_tokens=531)
    assert extract_further(provider, endpoint=endpoint, status=200, body=body, stream=False) == expected
    assert extract_further(provider, endpoint=endpoint, status=500, body=body, stream=False) == []


def test_of_a_stream_the_newest_iterations_count() -> None:
    early = {**ADVISED, "iterations": ADVISED["iterations"][:2]}  # type: ignore[index]
    body = _sse(_start(input_tokens=412, output_tokens=1), _delta(**early), _delta(**ADVISED), {"type": "message_stop"})  # type: ignore[arg-type]
    found = extract_further("anthropic", endpoint="/v1/messages", status=200, body=body, stream=True)
    assert found == INSIDE


def test_a_line_of_batch_results() -> None:
    line = {
        "custom_id": "a",
        "result": {"type": "succeeded", "message": {"usage": {"input_tokens": 4, "output_tokens": 2}}},
    }
    assert anthropic.usage_of(line) == Usage(input_tokens=4, output_tokens=2)


@pytest.mark.parametrize(
    ("provider", "endpoint"),
    [
        ("gcp.vertex_ai", "/publishers/anthropic/models/claude-sonnet-4-5:streamRawPredict"),
        ("aws.bedrock", "/anthropic/v1/messages"),
        ("azure.ai.openai", "/anthropic/v1/messages?beta=true"),
        ("openai_compatible", "/v1/messages"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_wherever_the_shape_is_spoken(provider: str, endpoint: str, *, stream: bool) -> None:
    raw = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 9}
    body = _sse(_start(**raw), {"type": "message_stop"}) if stream else {"type": "message", "usage": raw}
    usage = _extract(body, provider=provider, endpoint=endpoint, stream=stream)
    assert usage == Usage(input_tokens=105, output_tokens=9, cache_read_tokens=100)


def test_anthropic_behind_its_openai_door_counts_as_openai() -> None:
    usage = _extract({"usage": {"prompt_tokens": 7, "completion_tokens": 2}}, endpoint="/v1/chat/completions")
    assert usage == Usage(input_tokens=7, output_tokens=2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"usage": 3}',
        b'{"usage": {"input_tokens": -1}}',
        b"data: {",
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_understood_is_missing(body: bytes, *, stream: bool) -> None:
    assert _extract(body, stream=stream) == MISSING


@pytest.mark.parametrize("strange", [[], {}, 3, None])
def test_a_type_that_is_no_text_is_no_type(strange: object) -> None:
    usage = {"input_tokens": 3, "output_tokens": 1, "iterations": [{"type": strange, "output_tokens": 1}]}
    body = json.dumps({"type": strange, "usage": usage}).encode()
    for provider in ("anthropic", "aws.bedrock", "gcp.vertex_ai"):
        assert _extract(body, provider=provider, endpoint="/") == Usage(input_tokens=3, output_tokens=1)
        assert extract_further(provider, endpoint="/", status=200, body=body, stream=False) == []


def test_an_error_inside_200_says_nothing() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert _extract(error) is None
    assert _extract(_sse(error), stream=True) is None
    assert _extract(_sse(_start(input_tokens=3, output_tokens=1), error), stream=True) == Usage(
        input_tokens=3, output_tokens=1
    )
