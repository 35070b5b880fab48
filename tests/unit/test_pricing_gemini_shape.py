"""Answers of Gemini, Vertex and Cohere to inclusive usage: quirks by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing import Usage, extract_usage
from tollmeter.pricing.shapes import cohere, gemini

MISSING = Usage(source=USAGE_MISSING)


def _extract(body: Any, *, provider: str = "gcp.gemini", stream: bool = False) -> Usage | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return extract_usage(provider, endpoint=":generateContent", status=200, headers={}, body=data, stream=stream)


def _read(**raw: Any) -> Usage:
    usage = gemini.usage_of({"usageMetadata": raw})
    assert usage is not None
    return usage


def test_thoughts_and_tool_prompts_lie_outside_the_counts() -> None:
    usage = _read(
        promptTokenCount=1000,
        cachedContentTokenCount=600,
        toolUsePromptTokenCount=70,
        candidatesTokenCount=54,
        thoughtsTokenCount=552,
        totalTokenCount=1676,
        promptTokensDetails=[
            {"modality": "TEXT", "tokenCount": 800},
            {"modality": "AUDIO", "tokenCount": 150},
            {"modality": "IMAGE", "tokenCount": 30},
            {"modality": "DOCUMENT", "tokenCount": 20},
        ],
        toolUsePromptTokensDetails=[{"modality": "IMAGE", "tokenCount": 5}],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 4}],
    )
    assert usage == Usage(
        input_tokens=1070,
        output_tokens=606,
        cache_read_tokens=600,
        reasoning_tokens=552,
        input_audio_tokens=150,
        input_image_tokens=55,
        output_audio_tokens=4,
        output_image_tokens=40,
    )
    assert usage.is_consistent()


def test_modalities_sent_as_numbers() -> None:
    details = [{"modality": 2, "tokenCount": 516}, {"modality": 1, "tokenCount": 5}, {"modality": 4, "tokenCount": 9}]
    usage = _read(promptTokenCount=530, candidatesTokenCount=5, promptTokensDetails=details)
    assert (usage.input_image_tokens, usage.input_audio_tokens) == (516, 9)


def test_the_total_shows_when_thoughts_are_inside() -> None:
    raw = {"promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 30}
    assert _read(**raw, totalTokenCount=60).output_tokens == 50
    assert _read(**raw, totalTokenCount=90).output_tokens == 80
    assert _read(**raw).output_tokens == 80


def test_a_blocked_prompt_has_no_output_and_a_thought_alone_is_output() -> None:
    assert _read(promptTokenCount=5, totalTokenCount=5).output_tokens == 0
    assert _read(promptTokenCount=5, totalTokenCount=9, thoughtsTokenCount=4).output_tokens == 4
    assert _read(promptTokenCount=5).output_tokens is None


def test_embeddings_have_no_output() -> None:
    body = {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 4}}
    assert _extract(body) == Usage(input_tokens=4, output_tokens=0)
    predictions = [{"embeddings": {"values": [0.1], "statistics": {"token_count": each}}} for each in (3, 4)]
    assert _extract({"predictions": predictions}, provider="gcp.vertex_ai") == Usage(input_tokens=7, output_tokens=0)


CHUNKS = [
    {"usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 1, "totalTokenCount": 21}},
    {"usageMetadata": {"trafficType": "ON_DEMAND"}, "candidates": []},
    {"usageMetadata": {"promptTokenCount": 16, "candidatesTokenCount": 54, "totalTokenCount": 70}},
]
ARRAY = json.dumps(CHUNKS, indent=1).encode()
SSE = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in CHUNKS)


@pytest.mark.parametrize("body", [ARRAY, SSE])
def test_of_a_stream_the_newest_counts_win_even_where_they_fall(body: bytes) -> None:
    assert _extract(body, stream=True) == Usage(input_tokens=16, output_tokens=54)
    assert _extract(body[:-10], stream=True) == Usage(input_tokens=20, output_tokens=1)
    assert _extract(body[:20], stream=True) == MISSING


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro-preview", 2)])
def test_searches_are_counted_as_the_generation_bills_them(model: str, searches: int) -> None:
    usage = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}, "modelVersion": model}
    grounded = usage | {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b", ""]}}]}
    found = _extract([grounded, usage], stream=True)
    assert found is not None
    assert found.server_tool_calls == {"web_search": searches}


def test_the_openai_door_of_gemini() -> None:
    assert _extract({"usage": {"prompt_tokens": 7, "completion_tokens": 2}}) == Usage(input_tokens=7, output_tokens=2)


@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"[", b"[{", b"[" * 100_000, b'[3, {"usageMetadata": 3}]'])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["gcp.gemini", "gcp.vertex_ai", "cohere"])
def test_what_cannot_be_understood_is_missing(body: bytes, stream: bool, provider: str) -> None:
    assert _extract(body, stream=stream, provider=provider) == MISSING


def test_an_error_inside_200_says_nothing() -> None:
    assert _extract({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}) is None


BILLED = {"billed_units": {"input_tokens": 5, "output_tokens": 10}, "tokens": {"input_tokens": 71, "output_tokens": 10}}


@pytest.mark.parametrize(
    ("body", "stream"),
    [
        (json.dumps({"usage": BILLED}).encode(), False),
        (json.dumps({"meta": BILLED}).encode(), False),
        (b"event: message-end\ndata: " + json.dumps({"delta": {"usage": BILLED}}).encode() + b"\n\n", True),
        (b'{"text": "a"}\n' + json.dumps({"event_type": "stream-end", "response": {"meta": BILLED}}).encode(), True),
    ],
)
def test_of_cohere_what_it_bills_counts(body: bytes, stream: bool) -> None:
    assert _extract(body, provider="cohere", stream=stream) == Usage(input_tokens=5, output_tokens=10)


def test_cohere_embeddings_have_no_output_and_reranking_no_tokens() -> None:
    assert cohere.usage_of({"embeddings": [], "meta": {"billed_units": {"input_tokens": 3}}}) == Usage(
        input_tokens=3, output_tokens=0
    )
    assert cohere.usage_of({"results": [], "meta": {"billed_units": {"search_units": 1}}}) is None
