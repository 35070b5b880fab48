"""Every recorded answer of every provider, against its recorded usage and against genai-prices."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from genai_prices import extract_usage as oracle_usage
from recorded import HALF_TOLD, PROVIDERS, Counts, body_of, expected_counts, recorded_rows

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing import Usage, extract_further, extract_usage
from tollmeter.pricing.shapes import gemini
from tollmeter.pricing.shapes.eventstream import FrameDecoder

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="session")
def rows(shared: Path) -> list[dict[str, Any]]:
    return recorded_rows(shared)


def _extract(row: dict[str, Any], body: bytes | None = None) -> Usage | None:
    return extract_usage(
        PROVIDERS[row["provider"]],
        endpoint=row["endpoint"],
        status=row["status"],
        headers=row["response_headers"] or {},
        body=body_of(row) if body is None else body,
        stream=row["stream"],
    )


def _ours(usage: Usage) -> Counts:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def _untold(row: dict[str, Any]) -> str:
    if row["status"] >= 400 or row["error"]:
        return "error"
    if row["stream"]:
        return "stream without usage"
    operation = row["endpoint"].removeprefix("/").partition("/")[0]
    return f"{row['provider']} {operation} without counts"


def test_every_recorded_usage_is_met(rows: list[dict[str, Any]]) -> None:
    met: Counter[str] = Counter()
    untold: Counter[str] = Counter()
    for row in rows:
        usage, expected = _extract(row), expected_counts(row)
        if expected is None:
            assert usage is None or usage == Usage(source=USAGE_MISSING), row["id"]
            untold[_untold(row)] += 1
            continue
        assert usage is not None, row["id"]
        assert _ours(usage) == expected, row["id"]
        assert usage.is_consistent(), row["id"]
        met[row["provider"]] += 1
    assert met == MET
    assert untold == UNTOLD


MET = {"openai": 454, "azure_openai": 34, "anthropic": 87, "bedrock": 118, "gemini": 21, "vertex_gemini": 22}
UNTOLD = {
    "error": 33,
    "stream without usage": 112,  # OpenAI and Azure, asked without include_usage
    "openai threads without counts": 66,  # threads, their messages, and runs that are still queued
    "openai images without counts": 3,  # DALL-E answers have no usage
    "anthropic complete without counts": 1,  # nor have text completions
    "gemini :batchEmbedContents without counts": 2,  # nor had embeddings, once
    "bedrock invoke without counts": 3,  # recorded without the headers that hold the counts
}


BY_HAND: dict[str, Counts] = {
    # Anthropic: plain, then streams whose cache was written, then read
    "624da092fd8c1654": (1311, 53, None, None, None),
    "a7b61a6a15dc00e2": (29, 46, 0, 0, None),
    "0af0d1bb4f123373": (1382, 80, 0, 0, None),
    "edd9e4b7b7030392": (1171, 289, 0, 1167, None),
    "1866401cc7b965b5": (1171, 256, 1167, 0, None),
    "58390def0bbe711d": (1169, 221, 1165, 0, None),
    # Bedrock: Converse and its stream
    "874b3815584fc616": (13, 50, None, None, None),
    "524920cefd3c13cd": (415, 195, None, None, None),
    "e7c764b41e526376": (37, 8, None, None, None),
    "e33e21e2399e45a4": (295, 43, None, None, None),
    "55ff08ad459ae70c": (52, 36, None, None, None),
    # InvokeModel: Claude, Nova, Titan, Cohere, Mistral, AI21; the first stream's message_delta said 133
    "0fa2726ab229b22e": (392, 97, None, None, None),
    "07599fed2d45ed77": (18135, 50, 0, 18131, None),
    "a5ec3f6f2e3ed02e": (18135, 50, 18131, 0, None),
    "9149e107539bb5d1": (30, 51, 0, 0, None),
    "762a09ab44ee32e4": (5, 10, 0, 0, None),
    "7f036d6deef147ff": (28, 188, None, None, None),
    "886c4bed3d0b4e78": (5, 10, None, None, None),
    "01d4074abacf9889": (19, 20, None, None, None),
    "b9fa52f8358821d1": (6, 10, None, None, None),
    "7cac7b5b7c943490": (26, 42, None, None, None),
    # Gemini: streams as an array, plain, embeddings
    "89cc9cc225735c6d": (16, 606, None, None, 552),
    "670a8f31d084a952": (105, 13, None, None, None),
    "22323ca4bef4da2a": (467, 47, None, None, 13),
    "55c4c18fc666c3a5": (5, 1935, None, None, 1058),
    "d816d2958f9713bb": (15, 10, None, None, None),
    "4e7aa332bef1b9b1": (4, 0, None, None, None),
    # Vertex: plain, one that only thought, one with an image, a stream
    "fd99b26823406a51": (8, 1950, None, None, 1546),
    "442c6dbfaa80f1c4": (5, 4, None, None, 4),
    "27fd0761c2d96746": (521, 429, None, None, 424),
    "22181c97e475eb08": (128, 718, None, None, 692),
    "8e0e85d6c92bab93": (8, 2464, None, None, 2027),
}


def test_rows_computed_by_hand(rows: list[dict[str, Any]]) -> None:
    found = {row["id"]: usage for row in rows if row["id"] in BY_HAND and (usage := _extract(row))}
    assert {name: _ours(usage) for name, usage in found.items()} == BY_HAND
    assert found["27fd0761c2d96746"].input_image_tokens == 516


def test_errors_are_told_from_answers_without_usage(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["status"] >= 400 or (row["error"] and not row["stream"]):
            assert _extract(row) is None, row["id"]


FLAVOURS = {
    "anthropic": ("anthropic", "default"),
    "gemini": ("google", "default"),
    "vertex_gemini": ("google", "default"),
}


def _oracle(row: dict[str, Any]) -> tuple[Any, ...]:
    document = json.loads(body_of(row)) if row["body_kind"] == "json" else list(gemini.documents(body_of(row)))[-1]
    document.pop("model", None)  # one it has no price for would be an error
    for details in ("promptTokensDetails", "candidatesTokensDetails"):  # its reader fails on enums sent as numbers
        document.get("usageMetadata", {}).pop(details, None)
    provider, flavour = FLAVOURS.get(row["provider"], ("aws", "default"))
    if row["provider"] == "bedrock" and "input_tokens" in row["usage"]:
        flavour = "anthropic"
    found = oracle_usage(document, provider_id=provider, api_flavor=flavour).usage
    return (
        found.input_tokens,
        found.output_tokens,
        found.cache_read_tokens,
        found.cache_write_tokens,
        found.output_reasoning_tokens,
    )


def test_genai_prices_reads_the_same(rows: list[dict[str, Any]]) -> None:
    read: Counter[str] = Counter()
    for row in rows:
        raw = row["usage"]
        streamed = row["body_kind"] not in ("json", "json-array") and "gemini" not in row["provider"]
        if row["provider"] in ("openai", "azure_openai") or not raw or streamed or row["id"] == HALF_TOLD:
            continue
        if row["provider"] == "bedrock" and not {"inputTokens", "input_tokens"} & raw.keys():
            continue  # it knows no Titan, no Llama
        usage = _extract(row)
        assert usage is not None
        assert [each or 0 for each in _ours(usage)] == [each or 0 for each in _oracle(row)], row["id"]
        read[row["provider"]] += 1
    assert read == READ


READ = {"anthropic": 42, "bedrock": 45, "gemini": 21, "vertex_gemini": 22}


def test_a_cut_body_never_tells_more_than_the_whole(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        body = body_of(row)
        if (
            row["provider"] not in ("anthropic", "bedrock", "vertex_gemini")
            or not row["stream"]
            or row["status"] >= 400
        ):
            continue
        whole = _extract(row)
        assert whole is not None
        for cut in range(0, len(body), max(1, len(body) // 12)):
            part = _extract(row, body[:cut])
            assert part is not None
            told = [event["usage"].get("output_tokens") or 0 for event in row["usage_events"]]
            assert (part.output_tokens or 0) <= max(whole.output_tokens or 0, *told), row["id"]
            assert part.is_consistent() or part.input_tokens is None


def test_every_recorded_frame_passes_its_checksums(rows: list[dict[str, Any]]) -> None:
    frames = 0
    for row in rows:
        if row["body_kind"] == "aws-eventstream":
            decoder, body = FrameDecoder(), body_of(row)
            cut = [frame for at in range(0, len(body), 7) for frame in decoder.feed(body[at : at + 7])]
            assert not decoder.broken
            assert cut == FrameDecoder().feed(body)
            frames += len(cut)
    assert frames == 1147


def test_no_recorded_call_had_inferences_inside(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        provider, body = PROVIDERS[row["provider"]], body_of(row)
        assert not extract_further(
            provider, endpoint=row["endpoint"], status=row["status"], body=body, stream=row["stream"]
        )
