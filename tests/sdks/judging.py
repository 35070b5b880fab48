"""Runs an SDK's driver and judges what came back: equal with and without the tap, and every attempt one true event."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from recorded import PROVIDERS, SELDOM_SEEN, Row, expected_counts, recorded_rows
from sdks.venvs import SETS, python_of, run_with

from tollmeter.model.events import LlmCall, decode

GOLDEN: Final = SETS / "golden"
EVERY: Final = int(os.environ.get("TOLLMETER_SDK_EVERY", "8"))
"""Of the rows of a kind every so manieth is tried; 1 for all."""
DRIVER: Final = ("-m", "sdks.drivers.driving")
_OPERATIONS: Final = {
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    ":batchEmbedContents": "embeddings",
    "/images/generations": "image_generation",
}
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_RECOUNTED: Final = "litellm"
"""It counts anew what is not OpenAI's, so that its objects say something else than the wire."""
_WITHOUT_MODEL: Final = ("invoke", "ainvoke", "stream", "astream")
"""LangChain names a deployment in the URL alone."""
_ENDINGS: Final = ("returned", "refused", "unparsed", "events", "numbered", "by_hand")
Answer = dict[str, Any]


class Pair(NamedTuple):
    """One call, made without the tap and with it."""

    row: Row
    bare: Answer
    tapped: Answer


class Verdict(NamedTuple):
    """What an SDK did with the recordings, as the golden files and the page hold it."""

    rows: int
    """How many rows it has a method for."""
    calls: dict[str, dict[str, int]]
    """By variant: returned, refused (the provider sent an error), unparsed; events, and how many tell their attempt.

    `by_hand` are calls whose objects, handed to `llm_call.record`, told the counts that the wire did.
    """
    unparsed: dict[str, list[str]]
    """Rows answered 200 or never asked for, by what the SDK raised."""
    without_method: dict[str, int]


def judge(name: str, module: str, shared: Path, folder: Path, *, python: Path | None = None, every: int = 1) -> Verdict:
    """Run the driver of a set over the recordings, or a sample, and hold every call to what its row says."""
    out = folder / f"{name}.jsonl"
    run_with(python or python_of(name), *DRIVER, module, shared, out, str(every))
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    pairs = _pairs(answers, {row["id"]: row for row in recorded_rows(shared)})
    assert pairs
    for pair in pairs:
        _judge(pair)
        if not (name == _RECOUNTED and pair.row["provider"] not in ("openai", "azure_openai")):
            _judge_by_hand(pair)
    return _verdict(pairs, answers)


def judge_and_hold(name: str, module: str, shared: Path, folder: Path) -> None:
    """Judge a set over a sample, or over every row, and hold it to its golden file."""
    verdict = judge(name, module, shared, folder, every=EVERY)
    (hold if EVERY == 1 else hold_sample)(name, verdict)


def hold(name: str, verdict: Verdict) -> None:
    """Hold a verdict over every row to its golden file; `make sdks` writes it."""
    path = GOLDEN / f"{name}.json"
    text = json.dumps(verdict._asdict(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("TOLLMETER_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text, "run: make sdks, and review the diff"


def hold_sample(name: str, verdict: Verdict) -> None:
    """Hold a verdict over some rows to what the golden file says of them."""
    known = json.loads((GOLDEN / f"{name}.json").read_text())["unparsed"]
    for reason, ids in verdict.unparsed.items():
        assert set(ids) <= set(known.get(reason, ())), f"{reason}: run make sdks, and review the diff"


def _pairs(answers: list[Answer], rows: dict[str, Row]) -> list[Pair]:
    bare: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    pairs = []
    for answer in (answer for answer in answers if "variant" in answer):
        key = answer["row"], answer["variant"]
        if answer["tapped"]:
            pairs.append(Pair(rows[answer["row"]], bare[key].pop(0), answer))
        else:
            bare[key].append(answer)
    assert not any(bare.values())
    return pairs


def _judge(pair: Pair) -> None:
    row, bare, tapped = pair
    where = f"{row['id']} {row['provider']} {row['endpoint']} {tapped['variant']}"
    for part in ("returned", "raised", "text", "status", "attempts"):
        assert bare.get(part) == tapped.get(part), f"{where}: {part} differs under the tap"
    assert bare["events"] == []
    events = _events(tapped)
    if row["endpoint"].startswith(SELDOM_SEEN) and not events:
        return
    assert len(events) == tapped["attempts"], where
    for number, event in enumerate(events, start=1):
        assert event.attempt in (None, number), where
        assert not event.losses, where
    for event in events[:-1]:
        assert (event.status, event.usage_source, event.cost_usd) == ("error", "missing", None), where
        assert event.http_status in (429, 500, 503, 529), where
    if events:
        _judge_answered(row, tapped, events[-1], where)


def _judge_by_hand(pair: Pair) -> None:
    told, events = _told_by_hand(pair.tapped), _events(pair.tapped)
    if told and events and events[-1].usage_source == told.usage_source:
        assert _counts(told) == _counts(events[-1]), f"{pair.row['id']} {pair.tapped['variant']}: recorded by hand"


def _told_by_hand(answer: Answer) -> LlmCall | None:
    """The event of the SDK's own objects, where they tell a usage: parts, raw responses and vectors do not."""
    event = _call_of(answer["recorded"]) if answer.get("recorded") else None
    return event if event and event.usage_source == "reported" else None


def _counts(event: LlmCall) -> list[int]:
    """Inclusive and cached tokens; SDKs fill in 0 where the provider said nothing."""
    return [getattr(event, name) or 0 for name in _COUNTS[:4]]


def _judge_answered(row: Row, tapped: Answer, event: LlmCall, where: str) -> None:
    expected = _expected(row)
    if "raised" in tapped:
        del expected["status"]  # an SDK that stops reading at what it cannot parse leaves the call partial
    if tapped["variant"] in _WITHOUT_MODEL and row["provider"] == "azure_openai":
        expected["request_model"] = ""
    if expected_counts(row) is None and event.usage_source == "estimated":
        assert row["stream"], where
        assert row["status"] == 200, where
        assert event.input_tokens, where
        assert event.output_tokens, where
        assert event.cost_status == ("estimated" if event.price_ref else "unpriced"), where
        expected = {name: value for name, value in expected.items() if name not in ("usage_source", *_COUNTS)}
    assert {name: getattr(event, name) for name in expected} == expected, where
    assert (event.cost_usd is None) == (event.cost_status in ("unpriced", "inconsistent")), where
    assert event.cost_usd is None or event.usage_source != "missing", where


def _events(answer: Answer) -> list[LlmCall]:
    return [_call_of(line) for line in answer["events"]]


def _call_of(line: str) -> LlmCall:
    event = decode(line.encode())
    assert isinstance(event, LlmCall)
    return event


def _expected(row: Row) -> dict[str, Any]:
    counts = expected_counts(row)
    embeds = row["endpoint"].startswith("invoke") and "embed" in unquote(row["url"])
    return {
        "provider": PROVIDERS[row["provider"]],
        "operation": "embeddings" if embeds else _OPERATIONS.get(row["endpoint"], "chat"),
        "stream": row["stream"],
        "http_status": row["status"],
        "status": "error" if row["status"] >= 400 or row["error"] else "ok",
        "usage_source": "reported" if counts else "missing",
        "request_model": _deployment(row) or row["request_model"] or "",
        "resource_id": _resource(row),
        "response_model": row["response_model"] or "",
        **dict(zip(_COUNTS, counts or (None,) * 5, strict=True)),
    }


def _deployment(row: Row) -> str:
    """Azure's own name for a model, which its SDKs send where the model belongs."""
    return row["url"].partition("/deployments/")[2].partition("/")[0] if row["provider"] == "azure_openai" else ""


def _resource(row: Row) -> str:
    told = {name.lower(): value for name, value in (row["response_headers"] or {}).items()}
    profile = unquote(row["request_model"] or "") if row["provider"] == "bedrock" else ""
    return told.get("x-ms-deployment-name") or _deployment(row) or (profile if profile.startswith("arn:") else "")


def _verdict(pairs: list[Pair], answers: list[Answer]) -> Verdict:
    calls: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_ENDINGS, 0))
    unparsed: dict[str, set[str]] = defaultdict(set)
    without: dict[str, int] = defaultdict(int)
    for row, _, tapped in pairs:
        refused = tapped["attempts"] and row["status"] >= 400
        ending = "returned" if "returned" in tapped else "refused" if refused else "unparsed"
        events, way = _events(tapped), calls[tapped["variant"]]
        way[ending] += 1
        way["events"] += len(events)
        way["numbered"] += sum(event.attempt is not None for event in events)
        way["by_hand"] += _told_by_hand(tapped) is not None
        if ending == "unparsed":
            asked = "" if tapped["attempts"] else ", before it asks"
            unparsed[f"{tapped['raised']}: {tapped['text'].splitlines()[0][:80]}{asked}"].add(row["id"])
    for answer in answers:
        if "reason" in answer:
            without[answer["reason"]] += 1
    rows = len({pair.row["id"] for pair in pairs})
    return Verdict(rows, dict(calls), {reason: sorted(ids) for reason, ids in unparsed.items()}, dict(without))
