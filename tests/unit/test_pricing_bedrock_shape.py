"""Bedrock's answers to inclusive usage: every model family, frames and headers."""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from eventstreams import converse_event, frame, invoke_event

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing import Usage, extract_further, extract_usage, price
from tollmeter.pricing.shapes import bedrock
from tollmeter.pricing.shapes.eventstream import Frame, FrameDecoder

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MISSING = Usage(source=USAGE_MISSING)
HEADERS = {"X-Amzn-Bedrock-Input-Token-Count": "6", "x-amzn-bedrock-output-token-count": "10"}


def _extract(body: Any, *, headers: Mapping[str, str] = {}, stream: bool = False, status: int = 200) -> Usage | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return extract_usage("aws.bedrock", endpoint="converse", status=status, headers=headers, body=data, stream=stream)


CONVERSE = {
    "inputTokens": 3,
    "outputTokens": 442,
    "totalTokens": 8712,
    "cacheReadInputTokens": 7917,
    "cacheWriteInputTokens": 350,
}


@pytest.mark.parametrize("stream", [False, True])
def test_converse_leaves_the_cache_out_of_its_input(stream: bool) -> None:
    document = {"metrics": {"latencyMs": 3}, "usage": CONVERSE}
    usage = _extract(converse_event(document) if stream else document, stream=stream)
    assert usage is not None
    assert usage == Usage(input_tokens=8270, output_tokens=442, cache_read_tokens=7917, cache_write_tokens=350)
    assert usage.input_tokens is not None
    assert usage.input_tokens + 442 == CONVERSE["totalTokens"]
    cost = price("aws.bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", usage, at=NOW)
    assert cost.output_cost_usd == Decimal("0.00663")
    assert cost.cost_usd == Decimal("0.0103266")


def test_converse_tells_writes_that_live_an_hour() -> None:
    raw = CONVERSE | {"cacheDetails": [{"ttl": "1h", "inputTokens": 300}, {"ttl": "5m", "inputTokens": 50}]}
    usage = _extract({"usage": raw})
    assert usage is not None
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (350, 300)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"usage": {"inputTokens": 5, "outputTokens": 10, "cacheReadInputTokenCount": 0}}, (5, 10, 0)),  # Nova
        (
            {"type": "message", "usage": {"input_tokens": 4, "cache_read_input_tokens": 9, "output_tokens": 2}},
            (13, 2, 9),
        ),
        (
            {"inputTextTokenCount": 28.0, "results": [{"tokenCount": 197.0}, {"tokenCount": 3}]},
            (28, 200, None),
        ),  # Titan
        ({"inputTextTokenCount": 7, "embedding": [0.5]}, (7, 0, None)),
        ({"generation": "x", "prompt_token_count": 8, "generation_token_count": 35}, (8, 35, None)),  # Llama
        ({"usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}}, (6, 4, None)),  # Mistral, Jamba
        ({"meta": {"billed_units": {"input_tokens": 5, "output_tokens": 1}}}, (5, 1, None)),  # Cohere
    ],
)
def test_the_body_of_every_family(document: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    usage = _extract(document)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == expected


def test_headers_alone_tell_and_fill_in_what_the_body_leaves_out() -> None:
    assert _extract({"outputs": [{"text": "hi"}]}, headers=HEADERS) == Usage(input_tokens=6, output_tokens=10)
    assert _extract({"usage": {"inputTokens": 30}}, headers=HEADERS) == Usage(input_tokens=30, output_tokens=10)
    told = HEADERS | {"x-amzn-bedrock-cache-write-input-token-count": "18131"}
    assert _extract(b"", headers=told) == Usage(input_tokens=18137, output_tokens=10, cache_write_tokens=18131)


@pytest.mark.parametrize("value", ["", "-6", "six", "6.0", "²", "9" * 30])
def test_a_header_that_is_no_count_is_not_said(value: str) -> None:
    assert _extract(b"{}", headers={"x-amzn-bedrock-input-token-count": value}) == MISSING


CLAUDE = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 22, "output_tokens": 1}}},
    {"type": "message_delta", "usage": {"output_tokens": 12}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 22, "outputTokenCount": 11}},
]


def test_what_bedrock_metered_is_the_last_word_of_a_stream() -> None:
    assert _extract(b"".join(map(invoke_event, CLAUDE)), stream=True) == Usage(input_tokens=22, output_tokens=11)
    assert _extract(b"".join(map(invoke_event, CLAUDE[:2])), stream=True) == Usage(input_tokens=22, output_tokens=12)


def test_a_cached_claude_stream_is_not_counted_twice() -> None:
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 4, "cache_read_input_tokens": 90, "output_tokens": 1}},
    }
    metrics = {"inputTokenCount": 4, "outputTokenCount": 11, "cacheReadInputTokenCount": 90}
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}
    usage = _extract(invoke_event(start) + invoke_event(stop), stream=True)
    assert usage == Usage(input_tokens=94, output_tokens=11, cache_read_tokens=90)


def test_titan_tells_its_halves_in_different_events() -> None:
    events = [{"inputTextTokenCount": 28.0, "outputText": "a"}, {"totalOutputTextTokenCount": 188.0, "outputText": "b"}]
    assert _extract(b"".join(map(invoke_event, events)), stream=True) == Usage(input_tokens=28, output_tokens=188)


def test_an_advisor_is_told_through_bedrock_too() -> None:
    raw = {"iterations": [{"type": "advisor_message", "model": "m", "input_tokens": 2, "output_tokens": 3}]}
    body = invoke_event({"type": "message_delta", "usage": {"output_tokens": 1, **raw}})
    found = extract_further("aws.bedrock", endpoint="invoke", status=200, body=body, stream=True)
    assert found == [("m", Usage(input_tokens=2, output_tokens=3))]


def test_a_cut_or_broken_stream_keeps_what_was_whole() -> None:
    start, delta, stop = map(invoke_event, CLAUDE)
    assert _extract(start + delta + stop[:-1], stream=True) == Usage(input_tokens=22, output_tokens=12)
    broken = bytearray(delta)
    broken[-10] ^= 1
    assert _extract(start + bytes(broken) + stop, stream=True) == Usage(input_tokens=22, output_tokens=1)


def test_an_exception_in_the_stream_is_no_usage() -> None:
    payload = json.dumps({"usage": {"inputTokens": 1, "outputTokens": 1}}).encode()
    exception = frame(payload, exception_type="throttlingException", message_type="exception")
    assert _extract(exception, stream=True) == MISSING


@pytest.mark.parametrize("body", [b"", b"\x00" * 64, b"{", b"[]", b"[" * 100_000, frame(b'{"bytes": "\xc3\xa4="}')])
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_understood_is_missing(body: bytes, stream: bool) -> None:
    assert _extract(body, stream=stream) == MISSING
    assert _extract(body, stream=stream, status=429) is None


def test_frames_come_out_whole_whatever_the_chunks() -> None:
    body = frame(b"one", event_type="chunk") + frame(b"") + frame(b"three", a="b")
    decoder = FrameDecoder()
    frames = [found for at in range(len(body)) for found in decoder.feed(body[at : at + 1])]
    assert frames == [Frame({":event-type": "chunk"}, b"one"), Frame({}, b""), Frame({":a": "b"}, b"three")]


def test_headers_of_other_types_are_stepped_over() -> None:
    other = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x07" + b"\x01c\x06\x00\x02xy" + b"\x01d\x09" + b"u" * 16
    built = other + b"\x01e\x07\x00\x02ok"
    prelude = (16 + len(built) + 1).to_bytes(4) + len(built).to_bytes(4)
    message = prelude + crc32(prelude).to_bytes(4) + built + b"p"
    assert FrameDecoder().feed(message + crc32(message).to_bytes(4)) == [Frame({"e": "ok"}, b"p")]


def test_a_broken_decoder_holds_nothing_and_stays_broken() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(frame(b"one") + b"\x00" * 40) == [Frame({}, b"one")]
    assert decoder.broken
    assert decoder.feed(frame(b"two")) == []
    assert not decoder._held


def test_a_frame_that_claims_too_much_is_not_waited_for() -> None:
    prelude = (1 << 30).to_bytes(4) + (0).to_bytes(4)
    decoder = FrameDecoder()
    assert decoder.feed(prelude + crc32(prelude).to_bytes(4)) == []
    assert decoder.broken


def test_a_parsed_answer_of_the_sdk_is_read_as_it_is() -> None:
    assert bedrock.usage_of({"ResponseMetadata": {}, "usage": {"inputTokens": 1, "outputTokens": 2}}) == Usage(
        input_tokens=1, output_tokens=2
    )
