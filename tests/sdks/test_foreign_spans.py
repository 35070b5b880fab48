"""Real instrumentations of others, on calls that no tap sees and on calls that one does: one row each, at one cost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from sdks.venvs import SETS, python_of, run_with

pytestmark = pytest.mark.slow

DRIVER: Final = SETS / "drivers" / "foreign_spans.py"
COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
ENVIRONMENTS: Final = {
    "official": "otel-official",
    "traceloop": "otel-traceloop",
    "openai_v2": "otel-openai-v2",
    "litellm": "otel-litellm",
    "pydantic_ai": "pydantic-ai",
    "logfire": "pydantic-ai",
}
CASES: Final = {"official": 17, "traceloop": 16, "openai_v2": 5, "litellm": 6, "pydantic_ai": 2, "logfire": 13}
OPENAI: Final = ((1000, 50, 600, 0), "0.002250000000")
ANTHROPIC: Final = ((1000, 50, 500, 100), "0.002475000000")
BEDROCK: Final = ((1000, 50, 500, 100), "0.002722500000")
EXPECTED: Final[dict[str, tuple[tuple[int, ...], str | None]]] = {
    **dict.fromkeys(("chat", "async chat", "responses", "agent with a tool"), OPENAI),
    **dict.fromkeys(("messages", "agent"), ANTHROPIC),
    **dict.fromkeys(("converse", "invoke"), BEDROCK),
    "embeddings": ((8, 0, 0, 0), "0.000000160000"),
    "generate content": ((1000, 50, 600, 0), "0.000263000000"),
    "refused": ((0, 0, 0, 0), None),
}
"""By what a case's name begins with: tokens and cost that the provider's answer means, and its price today."""

SILENT: Final = ", without the SDK's own spans"
UNTOLD: Final = {
    # Spans that do not say what the provider did; the row is marked as an estimate.
    ("official", "invoke"): ((400, 50, 0, 0), "0.002145000000", "span_omits_cache"),
    ("openai_v2", "chat"): ((1000, 50, 0, 0), "0.003000000000", "span_omits_cache"),
    ("openai_v2", "chat stream"): ((1000, 50, 0, 0), "0.003000000000", "span_omits_cache"),
    ("openai_v2", "async chat stream"): ((1000, 50, 0, 0), "0.003000000000", "span_omits_cache"),
    ("traceloop", f"messages{SILENT}"): (*ANTHROPIC, "span_sums_stream_output"),
    ("traceloop", f"messages stream{SILENT}"): ((1000, 51, 500, 100), "0.002490000000", "span_sums_stream_output"),
    ("traceloop", f"messages helper{SILENT}"): ((1000, 51, 500, 100), "0.002490000000", "span_sums_stream_output"),
}


def run(name: str, taps: str, folder: Path, *more: str) -> dict[str, list[dict[str, Any]]]:
    out = folder / f"{name}-{taps}.json"
    run_with(python_of(ENVIRONMENTS.get(name, "otel-official")), "-W", "ignore", DRIVER, name, taps, out, *more)
    found: dict[str, list[dict[str, Any]]] = json.loads(out.read_text())
    return found


def expected(case: str) -> tuple[tuple[int, ...], str | None]:
    plain = case.removeprefix("async ") if case.startswith("async chat stream") else case
    return EXPECTED[max((name for name in EXPECTED if plain.startswith(name)), key=len)]


def told(event: dict[str, Any]) -> tuple[tuple[int, ...], Decimal | None]:
    cost = event.get("cost_usd")
    return tuple(event.get(name, 0) for name in COUNTS), None if cost is None else Decimal(cost)


FIRST: Final = ("official", "openai_v2")
NAMES: Final = [name if name in FIRST else pytest.param(name, marks=pytest.mark.full) for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_each_call_is_one_row_whether_a_tap_sees_it_or_not(name: str, tmp_path: Path) -> None:
    untapped, tapped = run(name, "untapped", tmp_path), run(name, "tapped", tmp_path)
    assert len(untapped) == len(tapped) == CASES[name]
    for case in untapped:
        rows = 2 if case == "agent with a tool" else 1  # two model calls and a tool: two rows, not three
        assert (len(untapped[case]), len(tapped[case])) == (rows, rows), case
        tokens, cost = expected(case)
        for event in tapped[case]:
            assert told(event) == (tokens, cost and Decimal(cost)), case
        for event in untapped[case]:
            tokens, cost, *method = UNTOLD.get((name, case), (tokens, cost))
            assert told(event) == (tokens, cost and Decimal(cost)), case
            assert event.get("usage_method", "") == (method[0] if method else ""), case
            assert "losses" not in event, case


def test_of_a_hundred_calls_at_ratio_0_a_hundred_are_recorded(tmp_path: Path) -> None:
    found = run("a_hundred", "untapped", tmp_path, "0")
    assert len(found["calls"]) == 100
