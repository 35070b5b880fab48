"""Calls and requests that have a price, landed; and what a reprice made of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tollmeter import etl
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.repricing import RepriceReport, reprice
from tollmeter.model.events import Event, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.pricing.book import PriceBook, default_book
from tollmeter.pricing.overlay_file import parse_overlay
from tollmeter.pricing.table import read_table

NIGHT = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)


FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)


USD = Decimal


LIST = default_book()


OVERLAY = """
currency: USD
prices:
  - {name: own, provider: openai, model: gpt-4o, valid_from: 2026-11-02, prices: {input_mtok: 1, output_mtok: 2}}
"""


def negotiated(text: str = OVERLAY) -> PriceBook:
    return PriceBook(read_table(), parse_overlay(text, "acme.yaml"))


def doubled() -> PriceBook:
    """Every list price twice, for every provider there is."""
    lines = [
        f"  - {{name: {name}, provider: {name}, percent: 100, valid_from: 2000-01-01}}"
        for name in sorted(LIST.providers)
    ]
    return negotiated("currency: USD\npremiums:\n" + "\n".join(lines))


def call(n: int, **fields: Any) -> LlmCall:
    """A call of gpt-4o with a thousand input tokens, as list prices have it: $0.0025, and $0.0001 of output."""
    given: dict[str, Any] = {
        "event_id": imported_event_id("reprice-call", str(n)),
        "timestamp": NIGHT + timedelta(seconds=n),
        "service": "chat",
        "request_id": f"r{n}",
        "provider": "openai",
        "request_model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 10,
        "usage_source": "reported",
        "latency_ms": 10.0,
        "cost_usd": USD("0.0026"),
        "input_cost_usd": USD("0.0025"),
        "output_cost_usd": USD("0.0001"),
        "cache_read_cost_usd": USD(0),
        "cache_write_cost_usd": USD(0),
        "fees_usd": USD(0),
        "cache_savings_usd": USD(0),
        "cost_status": "priced",
        "price_ref": "genai-prices 0.2.3 openai/gpt-4o",
    }
    return LlmCall(**(given | fields))


def request(n: int, **fields: Any) -> Request:
    given: dict[str, Any] = {
        "event_id": imported_event_id("reprice-request", str(n)),
        "timestamp": NIGHT + timedelta(seconds=n),
        "service": "chat",
        "request_id": f"r{n}",
        "llm_calls": 1,
        "cost_usd": USD("0.0026"),
    }
    return Request(**(given | fields))


def land(home: Home, events: Iterable[Event | bytes], name: str = "a.jsonl") -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    lines = (event if isinstance(event, bytes) else encode(event) for event in events)
    (home.raw / name).write_bytes(b"".join(lines))
    report = etl.run(home)
    assert report.quarantined == 0


def table(home: Home, name: str, snapshot: int | None = None) -> pa.Table:
    found: pa.Table = existing_tables(home)[name].scan(snapshot_id=snapshot).to_arrow()
    key = "event_id" if "event_id" in found.column_names else "hour"
    return found.sort_by(key)


def costs(home: Home, name: str = "llm_calls") -> dict[str, Decimal | None]:
    found = table(home, name)
    return dict(zip(found["request_id"].to_pylist(), found["cost_usd"].to_pylist(), strict=True))


def same(one: pa.Table, other: pa.Table) -> bool:
    differing = [name for name in one.column_names if one[name] != other[name]]
    assert differing == []
    return bool(one.column_names == other.column_names)


def snapshots(home: Home) -> dict[str, list[int]]:
    return {name: [s.snapshot_id for s in found.metadata.snapshots] for name, found in existing_tables(home).items()}


def run(
    home: Home, book: PriceBook, *, since: date = FIRST, until: date | None = None, dry_run: bool = False
) -> RepriceReport:
    return reprice(home, book, since=since, until=until, dry_run=dry_run)
