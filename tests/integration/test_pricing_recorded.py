"""Recorded OpenAI and Azure answers, and the cost vectors of other projects."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollmeter.model.names import COST_INCONSISTENT, COST_UNPRICED, USAGE_MISSING, USAGE_REPORTED
from tollmeter.pricing import Cost, Usage, extract_usage
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.quote import Prices
from tollmeter.pricing.table import Model, Provider, Row, Table, Variant

pytestmark = pytest.mark.shared_data

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVIDERS = {"openai": "openai", "azure_openai": "azure.ai.openai"}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _body(row: dict[str, Any]) -> bytes:
    text = row["response_body"] or ""
    return base64.b64decode(text) if row["response_body_encoding"] == "base64" else text.encode()


def _recorded(raw: dict[str, Any]) -> tuple[int | None, ...]:
    inside = (
        raw.get("prompt_tokens_details") or raw.get("input_tokens_details") or raw.get("prompt_token_details") or {}
    )
    outside = raw.get("completion_tokens_details") or raw.get("output_tokens_details") or {}
    return (
        raw.get("prompt_tokens", raw.get("input_tokens")),
        raw.get("completion_tokens", raw.get("output_tokens", 0)),
        inside.get("cached_tokens"),
        inside.get("audio_tokens"),
        outside.get("reasoning_tokens"),
        outside.get("audio_tokens"),
    )


def _ours(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.input_audio_tokens,
        usage.reasoning_tokens,
        usage.output_audio_tokens,
    )


def test_every_recorded_openai_answer(shared: Path) -> None:
    seen: Counter[str] = Counter()
    for row in _rows(shared / "data" / "provider_responses.jsonl"):
        if row["provider"] not in PROVIDERS:
            continue
        if row.get("response_body_omitted"):
            seen["body not recorded"] += 1
            continue
        usage = extract_usage(
            PROVIDERS[row["provider"]],
            endpoint=row["endpoint"],
            status=row["status"],
            headers=row["response_headers"] or {},
            body=_body(row),
            stream=row["body_kind"] == "sse",
        )
        if row["usage"] is not None:
            assert usage is not None, row["id"]
            assert _ours(usage) == _recorded(row["usage"]), row["id"]
            assert usage.is_consistent(), row["id"]
        else:
            assert usage is None or usage.source == USAGE_MISSING, row["id"]
        seen[usage.source if usage else "none"] += 1
    assert seen == {USAGE_REPORTED: 488, USAGE_MISSING: 181, "none": 15, "body not recorded": 1}


# --- cost vectors: which are not ours to meet, and why -------------------------------------------------------------

FRACTIONAL = {"cv-00157", "cv-00169", "cv-00194", "cv-01690"}  # tokens are whole
NO_FIELD = {
    "cv-00152",  # seconds of audio
    "cv-00156",  # how much of the cached input was audio
    "cv-00158",
    "cv-00191",  # citation tokens
}
TOTAL_CLASS = {"cv-01688", "cv-01689", "cv-01691"}  # a price on the total that replaces the parts
OTHER_ANSWER = {
    "cv-00150": COST_UNPRICED,  # no price for the only class used; they say 0
    "cv-00166": COST_INCONSISTENT,  # more audio input than input
    "cv-00170": COST_INCONSISTENT,
    "cv-01686": COST_INCONSISTENT,  # more cached than input; they clamp
}
FALLS_BACK = "cv-01680"  # cache tokens without a cache price: they charge 0, we the input rate
TIERED = re.compile(r"Decimal\('([^']+)'\)|start=(\d+)")
OPENLIT = {
    "promptPrice": "input_mtok",
    "completionPrice": "output_mtok",
    "cacheReadPrice": "cache_read_mtok",
    "cacheCreationPrice": "cache_write_mtok",
}
RENAMED = {"output_reasoning_tokens": "reasoning_tokens", "prompt_tokens": "input_tokens"} | {
    "completion_tokens": "output_tokens",
    "cache_creation_tokens": "cache_write_tokens",
}


def _genai_price(text: str) -> Any:
    if not text.startswith("TieredPrices"):
        return text
    base, *rest = (price or start for price, start in TIERED.findall(text))
    return [base, *([int(start), price] for start, price in zip(rest[::2], rest[1::2], strict=True))]


def _mtok(per_token: str, size: int = 1_000_000) -> str:
    return f"{Decimal(per_token) * size:f}"


def _litellm_prices(raw: dict[str, str], tier: str) -> dict[str, Any]:
    prices: dict[str, Any] = {key + "_mtok": [_mtok(value)] for key, value in raw.items() if "_above_" not in key}
    for key, value in raw.items():
        found = re.fullmatch(r"(\w+)_above_(\d+)k(_\w+)?", key)
        if found and (found[3] or f"_{tier}") == f"_{tier}":
            steps = prices[found[1] + "_mtok"]
            start = int(found[2]) * 1000
            steps[1:] = [step for step in steps[1:] if step[0] != start or not found[3]] + [[start, _mtok(value)]]
    return prices


def _book(vector: dict[str, Any]) -> PriceBook:
    explicit = vector["explicit_prices"]
    variants: list[Variant] = []
    prices: Prices
    if "per_mtok" in explicit:
        prices = {key: _genai_price(value) for key, value in explicit["per_mtok"].items()}
    elif "per_1k" in explicit:
        prices = {OPENLIT[key]: _mtok(value, 1000) for key, value in explicit["per_1k"].items()}
    else:
        prices = _litellm_prices(explicit["per_token"], "standard")
        variants = [Variant(_litellm_prices(explicit["per_token"], "priority"), when={"service_tier": "priority"})]
    return PriceBook(
        Table("vector", "1", [Provider("p", None, [], [Model("m", ["equals", "m"], [Row(prices)], variants)])])
    )


def _usage(vector: dict[str, Any]) -> tuple[Usage, str]:
    raw = dict(vector["usage"])
    tier = raw.pop("service_tier", None) or ""
    searches = raw.pop("web_searches", 0)
    counts = {RENAMED.get(key, key): int(Decimal(value)) for key, value in raw.items()}
    if vector["usage_convention"] == "exclusive":
        counts["input_tokens"] += counts["cache_read_tokens"] + counts["cache_write_tokens"]
    known: Any = {key: value for key, value in counts.items() if key in Usage.__struct_fields__}
    return Usage(**known, server_tool_calls={"web_search": searches}), tier


def _price(vector: dict[str, Any]) -> Cost:
    usage, tier = _usage(vector)
    return _book(vector).price("p", "m", usage, at=NOW, service_tier=tier)


def test_cost_vectors(shared: Path) -> None:
    met = 0
    for vector in _rows(shared / "data" / "cost_vectors.jsonl"):
        if vector["id"] in FRACTIONAL | NO_FIELD | TOTAL_CLASS:
            continue
        cost = _price(vector)
        if vector["id"] in OTHER_ANSWER:
            assert cost.status == OTHER_ANSWER[vector["id"]], vector
            continue
        if vector["id"] == FALLS_BACK:
            assert cost.cost_usd == Decimal("0.0105")
            continue
        assert cost.input_cost_usd is not None, vector
        ours = {
            "input": cost.input_cost_usd + (cost.cache_read_cost_usd or 0) + (cost.cache_write_cost_usd or 0),
            "output": cost.output_cost_usd,
            "total": cost.cost_usd,
        }
        for part, expected in vector["expected"].items():
            assert ours[part] == Decimal(expected), vector
        met += 1
    assert met == 71 - 11 - 5
