"""Hours of committed capacity: every one that is over has a row, used or not, and the bill is calls and commitments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollmeter import etl
from tollmeter.etl import runner
from tollmeter.etl.committed_hours import committed_hours
from tollmeter.etl.lake import existing_tables
from tollmeter.model.errors import DefinitionError
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings
from tollmeter.pricing import Usage
from tollmeter.pricing.book import open_book
from tollmeter.pricing.call import cost_columns, price_call
from tollmeter.pricing.overlay import Commitment
from tollmeter.sql.engine import open_engine

USD = Decimal
NOW = datetime(2026, 11, 2, 2, 40, tzinfo=UTC)
ARN = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/Xyz"
OVERLAY = f"""
currency: USD
commitments:
  - {{name: units, provider: aws.bedrock, resource_id: "{ARN}", model: claude, usd_per_hour: 39.6,
     tokens_per_minute: 1000, valid_from: "2026-11-01T22:15:00Z"}}
  - {{name: ptu, provider: azure.ai.openai, resource_id: chat, usd_per_hour: 2, valid_from: "2026-11-02T00:00:00Z",
     valid_until: "2026-11-02T01:30:00Z"}}
"""

Write = Callable[[str], Settings]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes an overlay, and gives settings that name it."""
    monkeypatch.setattr(runner, "utc_now", lambda: NOW)

    def written(text: str) -> Settings:
        path = tmp_path / "acme.yaml"
        path.write_text(text)
        return Settings.load({}, price_overlay=str(path))

    return written


def call(n: int, at: datetime, settings: Settings, **fields: Any) -> LlmCall:
    given: dict[str, Any] = {
        "provider": "aws.bedrock",
        "request_model": ARN,
        "input_tokens": 9000,
        "output_tokens": 3000,
    }
    given |= fields
    usage = Usage(input_tokens=given["input_tokens"], output_tokens=given["output_tokens"])
    names = {name: given.get(name, "") for name in ("request_model", "response_model", "resource_id")}
    cost = price_call(open_book(settings.price_overlay), usage, provider=given["provider"], at=at, status="ok", **names)
    return LlmCall(
        event_id=imported_event_id("committed", str(n)), timestamp=at, service="s", usage_source="reported",
        **given, **cost_columns(cost),
    )  # fmt: skip


def put(home: Home, name: str, *calls: LlmCall) -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    (home.raw / name).write_bytes(b"".join(map(encode, calls)))


def rows(home: Home) -> dict[tuple[str, str], dict[str, Any]]:
    found = existing_tables(home)["commitment_hours"].scan().to_arrow().to_pylist()
    return {(row["commitment"], f"{row['hour']:%dT%H}"): row for row in found}


def snapshots(home: Home) -> int:
    return len(existing_tables(home)["commitment_hours"].metadata.snapshots)


def test_every_hour_that_is_over_has_a_row_used_or_not(home: Home, write: Write) -> None:
    settings = write(OVERLAY)
    etl.run(home, settings=settings)
    found = rows(home)
    assert {key: row["cost_usd"] for key, row in found.items()} == {
        ("units", "01T22"): USD("29.7"),
        ("units", "01T23"): USD("39.6"),
        ("units", "02T00"): USD("39.6"),
        ("units", "02T01"): USD("39.6"),
        ("ptu", "02T00"): USD(2),
        ("ptu", "02T01"): USD(1),
    }
    assert all((row["calls"], row["idle_share"]) == (0, 1.0) for row in found.values())
    assert all(row["idle_cost_usd"] == row["cost_usd"] for row in found.values())
    units, ptu = found["units", "01T22"], found["ptu", "02T01"]
    assert (units["provider"], units["model"], units["capacity_tokens"]) == ("aws.bedrock", "claude", 45_000)
    assert (ptu["provider"], ptu["resource_id"], ptu["capacity_tokens"]) == ("azure.ai.openai", "chat", None)
    assert (units["event_date"], ptu["event_date"]) == (date(2026, 11, 1), date(2026, 11, 2))


def test_what_ran_on_it_is_counted_and_costs_nothing_more(home: Home, write: Write) -> None:
    settings = write(OVERLAY)
    first, azure = NOW.replace(day=1, hour=22, minute=20), {"provider": "azure.ai.openai", "resource_id": "Chat"}
    before = call(2, first.replace(minute=10), settings)
    put(
        home,
        "a.jsonl",
        call(1, first, settings),
        before,
        call(3, first.replace(hour=23), settings, input_tokens=70_000),
        call(4, NOW.replace(hour=0), settings, request_model="gpt-4o", **azure),
        call(5, NOW.replace(hour=0), settings, request_model="gpt-4o", provider="openai"),
    )
    etl.run(home, settings=settings)
    found = rows(home)
    units = found["units", "01T22"]
    assert (units["calls"], units["input_tokens"], units["output_tokens"]) == (1, 9000, 3000)
    assert units["used_share"] == pytest.approx(12_000 / 45_000)
    assert units["idle_cost_usd"] == USD("21.78")
    full, unknown = found["units", "01T23"], found["ptu", "02T00"]
    assert (full["used_share"], full["idle_share"], full["idle_cost_usd"]) == (1.0, 0.0, USD(0))
    assert (unknown["calls"], unknown["used_share"], unknown["idle_cost_usd"]) == (1, None, None)
    landed = existing_tables(home)["llm_calls"].scan().to_arrow().to_pylist()
    costs = {row["event_id"]: (row["cost_usd"], row["price_ref"]) for row in landed}
    assert costs[call(1, first, settings).event_id] == (USD(0), "acme.yaml#units 2026-11-01T22:15:00Z commitment")
    with open_engine("duckdb", home) as engine:
        bill = engine.query("spend_with_commitments", since="2026-11-01", until="2026-11-03").to_pylist()
    by_model = {(row["day"].day, row["model"]): row for row in bill}
    assert by_model[1, "claude"]["commitments_usd"] == by_model[1, "claude"]["total_usd"] == USD("69.3")
    assert by_model[1, "claude"]["idle_usd"] == USD("21.78")
    assert by_model[2, "ptu"]["total_usd"] == USD(3)
    assert (by_model[2, "gpt-4o"]["calls"], by_model[2, "gpt-4o"]["calls_usd"]) == (2, USD("0.0525"))
    assert sum(row["total_usd"] for row in bill) == USD("69.3") + USD("79.2") + 3 + USD("0.0525")


def test_a_second_run_writes_nothing_and_a_later_one_the_hours_since(
    home: Home, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = write(OVERLAY)
    put(home, "a.jsonl", call(1, NOW.replace(hour=0), settings))
    etl.run(home, settings=settings)
    before = snapshots(home)
    etl.run(home, settings=settings)
    assert snapshots(home) == before
    monkeypatch.setattr(runner, "utc_now", lambda: NOW + timedelta(minutes=30))
    etl.run(home, settings=settings)
    assert len(rows(home)) == 7
    put(home, "b.jsonl", call(2, NOW.replace(hour=0), settings))
    etl.run(home, settings=settings)
    assert rows(home)["units", "02T00"]["calls"] == 2


def test_an_overlay_that_changes_changes_the_hours_of_the_past(home: Home, write: Write) -> None:
    etl.run(home, settings=write(OVERLAY))
    etl.run(home, settings=write(OVERLAY.replace("usd_per_hour: 2,", "usd_per_hour: 5,")))
    assert rows(home)["ptu", "02T00"]["cost_usd"] == USD(5)
    etl.run(home, settings=write("currency: USD\n"))
    assert rows(home) == {}
    etl.run(home, settings=write(OVERLAY))
    etl.run(home, settings=Settings.load({}))
    assert len(rows(home)) == 6, "without an overlay nothing is known, and nothing is taken away"


def test_a_broken_overlay_fails_the_run_after_what_was_read_has_landed(home: Home, write: Write) -> None:
    put(home, "a.jsonl", call(1, NOW.replace(hour=0), write(OVERLAY)))
    with pytest.raises(DefinitionError, match=r"acme\.yaml"):
        etl.run(home, settings=write(OVERLAY.replace("usd_per_hour: 2", "usd_per_hour: two")))
    assert len(existing_tables(home)["llm_calls"].scan().to_arrow()) == 1
    etl.run(home, settings=write(OVERLAY))
    assert rows(home)["units", "02T00"]["calls"] == 1


def test_of_two_for_the_same_capacity_the_newer_counts_as_long_as_it_holds() -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    shared: dict[str, Any] = {"provider": "aws", "resource_id": "x"}
    old = Commitment(name="old", usd_per_hour=USD(10), valid_from=start, **shared)
    new = Commitment(
        name="new", usd_per_hour=USD(6), valid_from=start + timedelta(minutes=90),
        valid_until=start + timedelta(minutes=150), **shared,
    )  # fmt: skip
    hours = committed_hours([old, new], start + timedelta(hours=4))
    costs = {(hour.commitment.name, hour.hour.hour): hour.row()["cost_usd"] for hour in hours}
    assert costs == {
        ("old", 0): USD(10), ("old", 1): USD(5), ("new", 1): USD(3), ("new", 2): USD(3), ("old", 2): USD(5),
        ("old", 3): USD(10),
    }  # fmt: skip
    assert committed_hours([old], start + timedelta(minutes=59)) == []
    assert committed_hours([old], start - timedelta(days=1)) == []
