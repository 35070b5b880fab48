"""How far estimated usage is off, on recorded answers that tell theirs; the table in docs/pricing.md is made here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from recorded import Row, body_of, expected_counts, recorded_rows

from tollmeter.instrumentation.tap.text_meter import TextMeter
from tollmeter.pricing.estimate import estimate_answer, estimate_prompt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"
START, END = "<!-- estimates: made by tests/golden/test_usage_estimate.py -->\n", "<!-- end of estimates -->\n"
SEED = "20261124"
OPENAI = ("/chat/completions", "/completions", "/responses")
Pair = tuple[float, int]


def is_held_out(row: Row) -> bool:
    """The half that nothing was fitted on."""
    return bool(hashlib.sha256((SEED + row["id"]).encode()).digest()[0] & 1)


def visible_output(row: Row) -> int:
    """What it told of its output, without the reasoning that is not shown."""
    counts = expected_counts(row)
    return (counts[1] or 0) - (counts[4] or 0) if counts else 0


def metered(row: Row) -> float:
    meter = TextMeter()
    meter.feed(body_of(row))
    return meter.tokens


def answered(row: Row) -> float:
    return estimate_answer(json.loads(body_of(row))) or 0


def texts(value: Any) -> list[str]:
    """Every text in an answer that a model may have written, found without the code under test."""
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    if not isinstance(value, dict):
        return []
    written = [value[name] for name in ("content", "text", "arguments", "name") if isinstance(value.get(name), str)]
    return written + [text for name, inner in value.items() if name != "usage" for text in texts(inner)]


def written(row: Row) -> str:
    if row["body_kind"] == "json":
        answer = json.loads(body_of(row))
        return "".join(texts(answer.get("choices") or answer.get("output")))
    events = [json.loads(line[5:]) for line in body_of(row).splitlines() if line.startswith(b"data: {")]
    deltas = [event["delta"] for event in events if isinstance(event.get("delta"), str)]
    return "".join(deltas or [text for event in events for text in texts(event.get("choices"))])


def events_with_text(row: Row) -> float:
    return body_of(row).count(b'"delta":') + body_of(row).count(b'"delta": ')


def characters(row: Row) -> float:
    return len(written(row)) / 4


def words(row: Row) -> float:
    return len(written(row).split()) * 4 / 3


def off(pairs: list[Pair]) -> str:
    errors = [(guess - truth) / truth for guess, truth in pairs]
    size = sorted(map(abs, errors))
    total = sum(guess for guess, _ in pairs) / sum(truth for _, truth in pairs) - 1
    ninth = size[int(0.9 * (len(size) - 1))]
    return f"{len(pairs)} | {median(size):.0%} | {ninth:.0%} | {median(errors):+.0%} | {total:+.0%}"


def outputs(rows: list[Row], count: Callable[[Row], float]) -> list[Pair]:
    return [(count(row), visible_output(row)) for row in rows]


def inputs(rows: list[Row], *, seen: bool) -> list[Pair]:
    pairs: list[Pair] = []
    for row in rows:
        prompt, counts = estimate_prompt(json.dumps(row["request_body"]).encode()), expected_counts(row)
        hidden = prompt and {"media", "history", "hosted_tools"} & set(prompt.unseen)
        if prompt and counts and counts[0] and bool(hidden) != seen:
            pairs.append((prompt.tokens, counts[0]))
    return pairs


def table(rows: list[Row]) -> str:
    ours = [row for row in rows if row["provider"] in ("openai", "azure_openai") and row["endpoint"] in OPENAI]
    ours = [row for row in ours if visible_output(row) and written(row)]
    streams = [row for row in ours if row["body_kind"] == "sse"]
    plain = [row for row in ours if row["body_kind"] == "json"]
    claude = [row for row in rows if row["endpoint"] == "/messages" and row["body_kind"] == "sse"]
    claude = [row for row in claude if visible_output(row) and metered(row)]
    lines = {
        "output of a stream": outputs(streams, metered),
        "the same by its events": outputs(streams, events_with_text),
        "the same by its characters / 4": outputs(streams, characters),
        "the same by its words x 4/3": outputs(streams, words),
        "output of a plain answer": outputs(plain, answered),
        "the same by characters / 4": outputs(plain, characters),
        "the same by words x 4/3": outputs(plain, words),
        "output of an Anthropic stream": outputs(claude, metered),
        "input": inputs(ours, seen=True),
        "input, some of it unseen": inputs(ours, seen=False),
    }
    head = "| | answers | median error | 90 % within | median, signed | of the sum |\n|---|---|---|---|---|---|\n"
    return head + "".join(f"| {what} | {off(pairs)} |\n" for what, pairs in lines.items())


@pytest.mark.shared_data
def test_the_page_tells_how_far_estimates_are_off(shared: Path) -> None:
    rows = [row for row in recorded_rows(shared) if row["status"] == 200 and is_held_out(row)]
    page = PAGE.read_text()
    before, rest = page.split(START)
    after = rest.split(END)[1]
    expected = f"{before}{START}{table(rows)}{END}{after}"
    if os.environ.get("TOLLMETER_UPDATE_GOLDEN"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected, "run: make golden, and review the diff"
