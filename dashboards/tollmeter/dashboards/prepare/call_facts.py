"""One call as facts under headings: how it ended, who it was for, what it was tagged with, and its row as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tollmeter.dashboards.prepare import formats

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its name, what it says, and the dimension and value that a click filters by (empty: none)."""

    name: str
    text: str
    dimension: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class LatencyPart:
    """One part of a call's time: its name, ms, and share of the whole in percent."""

    name: str
    ms: float
    percent: float
    tone: str


def outcome(row: Row) -> list[Fact]:
    """How the call ended and which try it was; what is not known is left out."""
    yes_no = {True: "yes", False: "no"}
    return _known(
        Fact("Status", row["status"] or "", "status", row["status"] or ""),
        Fact("Error", row["error_type"] or "", "error_type", row["error_type"] or ""),
        Fact("HTTP status", _text(row["http_status"])),
        Fact("Finish reason", row["finish_reason"] or ""),
        Fact("Attempt", _text(row["attempt"])),
        Fact("Stands in for", row["fallback_from"] or ""),
        Fact("Own cache", "answered from it" if row["cache_hit"] else ""),
        Fact("Streamed", yes_no.get(row["stream"], "")),
        Fact("Limit asked for", f"{formats.count(row['max_tokens'])} tokens" if row["max_tokens"] else ""),
        Fact("Requests left", _headroom(row, "requests")),
        Fact("Tokens left", _headroom(row, "tokens")),
        Fact("Usage", " by ".join(part for part in (row["usage_source"] or "", row["usage_method"] or "") if part)),
    )


def attribution(row: Row) -> list[Fact]:
    """Who the call was made for and by; each leads to the calls that share it."""
    of = (
        ("Tenant", "tenant", "tenant_id"), ("Team", "team", "team"), ("Feature", "feature", "feature"),
        ("User", "user", "user_id"), ("Session", "session", "session_id"), ("Prompt", "prompt", "prompt_name"),
        ("Prompt version", "prompt_version", "prompt_version"), ("Experiment", "experiment", "experiment"),
        ("Variant", "variant", "variant"), ("Route", "route", "route"), ("Service", "service", "service"),
        ("Environment", "environment", "environment"), ("Version", "version", "version"),
        ("Region", "region", "region"), ("Provider", "provider", "provider"),
        ("Model asked for", "request_model", "request_model"),
    )  # fmt: skip
    return _known(*(Fact(name, row[column] or "", dimension, row[column] or "") for name, dimension, column in of))


def identity(row: Row) -> list[Fact]:
    """What finds the call elsewhere."""
    of = (
        ("Call", "event_id"), ("Request", "request_id"), ("Trace", "trace_id"), ("Span", "span_id"),
        ("Provider's id", "provider_request_id"), ("Resource", "resource_id"), ("Tier", "service_tier"),
        ("Inference in", "inference_region"), ("Operation", "operation"), ("Instance", "instance"),
        ("Caller", "caller_principal"), ("Credential (hashed)", "credential_ref"), ("Batch", "batch_id"),
    )  # fmt: skip
    return _known(*(Fact(name, row[column] or "") for name, column in of))


def tags(row: Row) -> list[Fact]:
    """The call's tags; text that is no JSON object stands as it is."""
    try:
        found = json.loads(row["tags"] or "{}")
    except ValueError:
        return [Fact("tags", str(row["tags"]))]
    if not isinstance(found, dict):
        return [Fact("tags", str(row["tags"]))]
    return [Fact(str(name), value if isinstance(value, str) else json.dumps(value)) for name, value in found.items()]


def latency_parts(row: Row) -> tuple[LatencyPart, ...]:
    """The time to the first token and the rest; one part where no first token was seen, none where nothing is timed."""
    whole, first = row["latency_ms"], row["ttft_ms"]
    if whole is None:
        return ()
    if first is None or first > whole:
        return (LatencyPart("whole answer", whole, 100.0, "rest"),)
    share = 100 * first / whole if whole else 0.0
    return (
        LatencyPart("to the first token", first, round(share, 2), "first"),
        LatencyPart("the rest of the answer", whole - first, round(100 - share, 2), "rest"),
    )


def speed(row: Row) -> str:
    """How fast tokens came, in words; empty where it is not known."""
    rate = row["output_tokens_per_s"]
    byte = row["ttfb_ms"]
    parts = [
        f"{rate:,.1f} tokens per second after the first" if rate is not None else "",
        f"first byte after {formats.duration(byte)}" if byte is not None else "",
    ]
    return " · ".join(part for part in parts if part)


def raw_json(row: Row) -> str:
    """All columns of the row that say anything, as JSON: money as text, lest a digit is lost."""
    told = {name: _plain(value) for name, value in row.items() if value not in (None, "")}
    return json.dumps(told, indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else value


def _headroom(row: Row, what: str) -> str:
    limit, left = row[f"ratelimit_limit_{what}"], row[f"ratelimit_remaining_{what}"]
    if left is None:
        return ""
    return f"{formats.count(left)} of {formats.count(limit)}" if limit else formats.count(left)


def _known(*facts: Fact) -> list[Fact]:
    return [fact for fact in facts if fact.text]


def _text(value: Sequence[str] | int | None) -> str:
    return "" if value is None else str(value)
