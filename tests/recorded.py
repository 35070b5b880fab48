"""The recorded provider interactions, and what each must count, written from the providers' documentation.

The oracle reads the flat `usage` column instead of the bodies, so it shares no code with what it judges.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

Row = dict[str, Any]
Counts = tuple[int | None, int | None, int | None, int | None, int | None]
"""Input, output, cache read, cache write, reasoning."""

PROVIDERS: Final = {
    "openai": "openai",
    "azure_openai": "azure.ai.openai",
    "anthropic": "anthropic",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_gemini": "gcp.vertex_ai",
}
SELDOM_SEEN: Final = ("/threads",)
"""Of these endpoints not every call is one to a model."""
HALF_TOLD: Final = "9149e107539bb5d1"
"""Its body was masked by a guardrail and counts the input only; a header has the output."""


def recorded_rows(shared: Path) -> list[Row]:
    """Every recorded interaction whose body was kept."""
    lines = (shared / "data" / "provider_responses.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if not row.get("response_body_omitted")]


def body_of(row: Row) -> bytes:
    """The answer's body, content encoding undone."""
    text = row["response_body"] or ""
    return base64.b64decode(text) if row["response_body_encoding"] == "base64" else text.encode()


def expected_counts(row: Row) -> Counts | None:
    """The inclusive counts that the recorded usage means; None where nothing was told."""
    if row["usage"]:
        counts = _CONVENTIONS[row["provider"]](row["usage"])
        return (counts[0], 51, 0, 0, None) if row["id"] == HALF_TOLD else counts
    if row["usage_headers"]:
        told = {name.removeprefix("x-amzn-bedrock-"): int(value) for name, value in row["usage_headers"].items()}
        return told["input-token-count"], told["output-token-count"], None, None, None
    return None


def _openai(raw: dict[str, Any]) -> Counts:
    inside = (
        raw.get("prompt_tokens_details") or raw.get("input_tokens_details") or raw.get("prompt_token_details") or {}
    )
    outside = raw.get("completion_tokens_details") or raw.get("output_tokens_details") or {}
    return (
        raw.get("prompt_tokens", raw.get("input_tokens")),
        raw.get("completion_tokens", raw.get("output_tokens", 0)),
        inside.get("cached_tokens"),
        inside.get("cache_write_tokens"),
        outside.get("reasoning_tokens"),
    )


def _anthropic(raw: dict[str, Any]) -> Counts:
    read, written = raw.get("cache_read_input_tokens"), raw.get("cache_creation_input_tokens")
    return raw["input_tokens"] + (read or 0) + (written or 0), raw["output_tokens"], read, written, None


def _google(raw: dict[str, Any]) -> Counts:
    thoughts, spoken = raw.get("thoughtsTokenCount"), raw.get("candidatesTokenCount")
    output = (spoken or 0) + (thoughts or 0)
    return raw["promptTokenCount"], output, raw.get("cachedContentTokenCount"), None, thoughts


def _aws(raw: dict[str, int]) -> Counts:
    read = raw.get("cacheReadInputTokens", raw.get("cacheReadInputTokenCount"))
    written = raw.get("cacheWriteInputTokens", raw.get("cacheWriteInputTokenCount"))
    plain = raw["inputTokens"] if "inputTokens" in raw else raw["inputTokenCount"]
    output = raw.get("outputTokens", raw.get("outputTokenCount"))
    return plain + (read or 0) + (written or 0), output, read, written, None


def _bedrock(raw: dict[str, Any]) -> Counts:
    if "inputTokens" in raw or "inputTokenCount" in raw:
        return _aws(raw)
    if "billed_units" in raw:
        return raw["billed_units"]["input_tokens"], raw["billed_units"]["output_tokens"], None, None, None
    if "inputTextTokenCount" in raw:
        output = sum(raw.get("results.tokenCount", [raw.get("totalOutputTextTokenCount", 0)]))
        return raw["inputTextTokenCount"], output, None, None, None
    if "generation_token_count" in raw:
        return raw["prompt_token_count"], raw["generation_token_count"], None, None, None
    return _anthropic(raw) if "input_tokens" in raw else _openai(raw)


_CONVENTIONS: Final = {
    "openai": _openai,
    "azure_openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "gemini": _google,
    "vertex_gemini": _google,
}
