"""For any bytes, any cut and any order of chunks: shapes never raise, never go negative, never count twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest
from botocore.eventstream import EventStreamBuffer
from eventstreams import converse_event, frame, invoke_event
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing import Usage, extract_further, extract_usage, price
from tollmeter.pricing.shapes.eventstream import FrameDecoder
from tollmeter.pricing.shapes.exclusive import merge

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "aws.bedrock": "amazon.nova-pro-v1:0",
    "gcp.gemini": "gemini-2.5-flash",
    "gcp.vertex_ai": "gemini-2.5-pro",
    "cohere": "command-r",
    "openai": "gpt-4o",
}
COUNTS = [field for field in Usage.__struct_fields__ if field.endswith("_tokens")]
NAMES = [
    "usage",
    "message",
    "type",
    "model",
    "result",
    "iterations",
    "cache_creation",
    "ephemeral_1h_input_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "server_tool_use",
    "web_search_requests",
    "output_tokens_details",
    "usageMetadata",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "candidates",
    "groundingMetadata",
    "webSearchQueries",
    "predictions",
    "embeddings",
    "statistics",
    "token_count",
    "cachedContentTokenCount",
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheDetails",
    "ttl",
    "metadata",
    "amazon-bedrock-invocationMetrics",
    "inputTokenCount",
    "outputTokenCount",
    "inputTextTokenCount",
    "results",
    "bytes",
    "totalOutputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
    "meta",
    "billed_units",
    "delta",
    "response",
    "error",
]
KINDS = ["message", "message_start", "message_delta", "advisor_message", "compaction", "1h", "IMAGE", "eyJ9"]
leaves = st.none() | st.booleans() | st.integers(-5, 10**6) | st.integers() | st.floats() | st.sampled_from(KINDS)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
providers = st.sampled_from([*MODELS, "x"])


def _check(provider: str, body: bytes, *, stream: bool) -> None:
    usage = extract_usage(provider, endpoint="/", status=200, headers={}, body=body, stream=stream)
    further = extract_further(provider, endpoint="/", status=200, body=body, stream=stream)
    for each in ([usage] if usage else []) + [told.usage for told in further]:
        counts = [getattr(each, name) for name in COUNTS] + list(each.server_tool_calls.values())
        assert all(count is None or 0 <= count < 2**63 for count in counts)
        cost = price(provider, MODELS.get(provider, "x"), each, at=NOW)
        assert cost.cost_usd is None or cost.cost_usd >= 0
        if each.source == USAGE_MISSING:
            assert cost.cost_usd is None


@given(providers, st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_never_raise(provider: str, body: bytes, stream: bool) -> None:
    _check(provider, body, stream=stream)


@given(providers, documents, st.sampled_from(["json", "sse", "array", "converse", "invoke"]))
def test_arbitrary_documents_never_raise(provider: str, document: object, form: str) -> None:
    data = msgspec.json.encode(document)
    parsed = json.loads(data)
    bodies = {
        "json": data,
        "sse": b"event: x\ndata: " + data + b"\n\n",
        "array": b"[" + data + b"]",
        "converse": converse_event(parsed),
        "invoke": invoke_event(parsed),
    }
    _check(provider, bodies[form], stream=form != "json")


START = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}},
}
DELTA = {"type": "message_delta", "usage": {"output_tokens": 30}}
METERED = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 30}}
GEMINI = {"usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 30, "cachedContentTokenCount": 4}}
STREAMS = {
    "anthropic": b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in (START, DELTA)),
    "aws.bedrock": b"".join(map(invoke_event, (START, DELTA, METERED))),
    "gcp.gemini": msgspec.json.encode([GEMINI, GEMINI]),
    "gcp.vertex_ai": b"".join(b"data: " + msgspec.json.encode(each) + b"\r\n\r\n" for each in (GEMINI, GEMINI)),
}


@given(st.sampled_from(sorted(STREAMS)), st.integers(0, 2000), st.binary(max_size=20))
def test_a_cut_stream_with_garbage_behind_tells_a_part_or_nothing(provider: str, cut: int, garbage: bytes) -> None:
    body = STREAMS[provider]
    _check(provider, body[:cut] + garbage, stream=True)
    usage = extract_usage(provider, endpoint="/", status=200, headers={}, body=body[:cut], stream=True)
    assert usage is not None
    assert usage.input_tokens in (None, 13)
    assert usage.output_tokens in (None, 1, 30)
    whole = extract_usage(provider, endpoint="/", status=200, headers={}, body=body, stream=True)
    assert whole is not None
    assert (whole.input_tokens, whole.cache_read_tokens, whole.output_tokens) == (13, 4, 30)


@st.composite
def partial_usages(draw: st.DrawFn) -> Usage:
    said = st.none() | st.integers(0, 1000)
    read, written, plain = draw(said), draw(said), draw(said)
    whole = None if plain is None else plain + (read or 0) + (written or 0)
    return Usage(
        input_tokens=whole,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=draw(said),
        reasoning_tokens=draw(said),
    )


@given(partial_usages(), partial_usages(), partial_usages())
def test_merging_does_not_depend_on_how_events_are_grouped(first: Usage, second: Usage, third: Usage) -> None:
    assert merge(merge(first, second), third) == merge(first, merge(second, third))


@given(partial_usages(), partial_usages())
def test_an_event_told_twice_counts_once(older: Usage, newer: Usage) -> None:
    once = merge(older, newer)
    assert merge(once, newer) == once
    assert merge(newer, newer) == newer
    assert merge(None, newer) == merge(newer, None) == newer


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.text("abc", max_size=5)), max_size=5),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_frames_are_those_botocore_reads_whatever_the_chunks(parts: list[tuple[bytes, str]], cuts: list[int]) -> None:
    body = b"".join(frame(payload, event_type=kind) for payload, kind in parts)
    edges = [0, *sorted(cuts), len(body)]
    decoder, theirs = FrameDecoder(), EventStreamBuffer()
    ours = [found for start, end in pairwise(edges) for found in decoder.feed(body[start:end])]
    theirs.add_data(body)
    expected = [(event.headers, event.payload) for event in theirs]
    assert [tuple(found) for found in ours] == expected
    assert not decoder.broken


@pytest.mark.parametrize("at", range(len(frame(b"payload", event_type="chunk"))))
def test_one_flipped_bit_anywhere_is_found(at: int) -> None:
    body = bytearray(frame(b"payload", event_type="chunk"))
    body[at] ^= 0x10
    assert FrameDecoder().feed(bytes(body) + frame(b"behind")) == []
