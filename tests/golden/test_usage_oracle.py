"""Every recorded usage as `genai_prices.extract_usage` reads it, beside ours; what differs is on a page, with why."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Final

import genai_prices
import pytest
from recorded import PROVIDERS, Row, body_of, recorded_rows

from tollmeter.pricing import Usage, extract_usage
from tollmeter.pricing.shapes import gemini

pytestmark = pytest.mark.shared_data

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "usage-oracle.md"
FIELDS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "input_image_tokens": "input_image_tokens",
    "output_image_tokens": "output_image_tokens",
}
"""Our fields, and how genai-prices names them."""

VERTEX, HEADERS, METRICS = "Vertex, enums as numbers", "Bedrock, counts in headers", "Bedrock streams, metrics alone"
TITAN, LLAMA, OTHER, MASKED = (
    "Bedrock Titan",
    "Bedrock Llama",
    "Bedrock, OpenAI's names",
    "Bedrock, masked by a guardrail",
)
REASONS: Final = {
    HEADERS: "It reads bodies, and these have no usage: see `x-amzn-bedrock-input-token-count` and its sibling.",
    TITAN: "It knows no Titan: `inputTextTokenCount`, and a `tokenCount` for each result.",
    LLAMA: "It knows no Llama at Bedrock: `prompt_token_count` and `generation_token_count`.",
    OTHER: "A model that answers with `prompt_tokens` and `completion_tokens`, which it expects elsewhere only.",
    METRICS: "InvokeModel ends a stream with `amazon-bedrock-invocationMetrics`, which it does not know.",
    MASKED: "The body counts the input only; the output stands in a header.",
    VERTEX: 'It fails on `"modality": 1`. Without these details it reads what we read, which the test checks.',
}
_FLAVOURS: Final = {
    "chat": "chat", "completions": "chat", "threads": "chat", "responses": "responses", "embeddings": "embeddings"
}  # fmt: skip
_THEIR_NAMES: Final = {
    "openai": "openai", "azure_openai": "azure", "anthropic": "anthropic", "bedrock": "aws", "gemini": "google",
    "vertex_gemini": "google",
}  # fmt: skip


def ours(row: Row) -> dict[str, int]:
    usage: Usage | None = extract_usage(
        PROVIDERS[row["provider"]],
        endpoint=row["endpoint"],
        status=row["status"],
        headers=row["response_headers"] or {},
        body=body_of(row),
        stream=row["stream"],
    )
    assert usage is not None, row["id"]
    return {field: getattr(usage, field) or 0 for field in FIELDS}


def theirs(row: Row, *, details: bool = True) -> dict[str, int]:
    """What genai-prices reads in a body, of a stream in its newest usage.

    Raises:
        ValueError, AttributeError: it cannot read it.
    """
    document = document_of(row)
    if not details:
        for name in ("promptTokensDetails", "candidatesTokensDetails"):
            document["usageMetadata"].pop(name, None)
    document.pop("model", None)  # one it has no price for would be an error
    provider, flavour = asked(row)
    found = genai_prices.extract_usage(document, provider_id=provider, api_flavor=flavour).usage
    return {field: getattr(found, name, None) or 0 for field, name in FIELDS.items()}


def document_of(row: Row) -> dict[str, Any]:
    if row["body_kind"] == "json":
        return dict(json.loads(body_of(row)))
    if "gemini" in row["provider"]:
        return dict(list(gemini.documents(body_of(row)))[-1])
    return {"usage": row["usage"]}


def asked(row: Row) -> tuple[str, str]:
    provider = _THEIR_NAMES[row["provider"]]
    if provider in ("openai", "azure"):
        return provider, _FLAVOURS[row["endpoint"].lstrip("/").partition("/")[0]]
    return provider, "anthropic" if provider == "aws" and "input_tokens" in (row["usage"] or {}) else "default"


def reason_of(row: Row) -> str:
    told: dict[str, Any] = row["usage"] or {}
    if row["provider"] == "vertex_gemini":
        return VERTEX
    if not told:
        return HEADERS
    if row["stream"]:
        return METRICS
    names = {"inputTextTokenCount": TITAN, "generation_token_count": LLAMA, "completion_tokens": OTHER}
    return next((reason for name, reason in names.items() if name in told), MASKED)


def compared(rows: list[Row]) -> tuple[Counter[str], dict[str, list[str]]]:
    """Rows read alike, by provider; and the lines of the table of all others, by reason."""
    alike: Counter[str] = Counter()
    lines: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        mine = ours(row)
        try:
            other = theirs(row)
        except (ValueError, AttributeError) as error:
            said = "; ".join(f"{field} {count:,}" for field, count in mine.items() if count)
            lines[reason_of(row)].append(f"| `{row['id']}` | {said} | not read: {error} |")
            continue
        assert other == mine, row["id"]
        alike[row["provider"]] += 1
    return alike, lines


def render(alike: Counter[str], lines: dict[str, list[str]]) -> str:
    apart = sum(map(len, lines.values()))
    head = f"""\
# Usage, read by two

Made by `make golden` from {sum(alike.values()) + apart} recorded answers that tell their usage, not by hand.

Tollmeter and `genai_prices.extract_usage` {genai_prices.__version__} read each answer; of a stream, genai-prices
is given the usage as it was recorded. Compared are {len(FIELDS)} fields: {", ".join(FIELDS)}.
Not said and 0 count as equal here, not in the [rows counted by hand](../tests/integration/test_usage_by_hand.py).

| provider | read alike in every field |
|---|---:|
"""
    table = "".join(f"| {provider} | {count} |\n" for provider, count in sorted(alike.items()))
    groups = [
        f"\n## {reason}: {len(found)}\n\n{REASONS[reason]}\n\n| row | ours | genai-prices |\n|---|---|---|\n"
        + "\n".join(found)
        for reason, found in sorted(lines.items())
    ]
    summary = f"\nThe other {apart} genai-prices cannot read; none is read differently.\n"
    return head + table + summary + "\n".join(groups) + "\n"


@pytest.fixture(scope="module")
def told(shared: Path) -> list[Row]:
    return [row for row in recorded_rows(shared) if row["usage"] or row["usage_headers"]]


def test_the_page_says_how_two_readers_differ(told: list[Row]) -> None:
    page = render(*compared(told))
    if os.environ.get("TOLLMETER_UPDATE_GOLDEN"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def test_without_the_details_that_break_it_the_other_reader_agrees(told: list[Row]) -> None:
    rows = [row for row in told if reason_of(row) == VERTEX and "trafficType" in row["usage"]]
    media = {"input_image_tokens", "input_audio_tokens", "output_image_tokens", "output_audio_tokens"}
    for row in rows:
        mine = ours(row)
        assert theirs(row, details=False) == mine | dict.fromkeys(media, 0), row["id"]
    assert len(rows) >= 10
