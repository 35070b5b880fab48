"""`tollmeter prices check` on a lake: models without a price, with a stand-in's, or with one of yesterday."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hand_lake import call, land
from typer.testing import CliRunner

from tollmeter import etl
from tollmeter.cli.app import app
from tollmeter.etl.repricing import models_seen
from tollmeter.model.events import LlmCall
from tollmeter.model.home import Home
from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.call import cost_columns, price_call

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
OVERLAY = """
currency: USD
prices:
  - {name: own, provider: openai, model: gpt-4o, valid_from: 2026-11-02, prices: {input_mtok: 1, output_mtok: 10}}
"""


def said(model: str, day: int = 1, tier: str = "", **fields: Any) -> LlmCall:
    """A call as it was priced when it was made: by the list."""
    at = AT + timedelta(days=day - 1)
    names: dict[str, Any] = {"provider": "openai", "request_model": model, "service_tier": tier}
    usage = Usage(input_tokens=1000, output_tokens=0)
    cost = price_call(default_book(), usage, response_model="", at=at, status="ok", **names)
    told = {"usage_source": "reported", "input_tokens": 1000, "output_tokens": 0}
    return call(at, **(names | told | cost_columns(cost) | fields))


@pytest.fixture
def seen(home: Home) -> Home:
    land(
        home,
        [
            said("gpt-4o"), said("gpt-4o", 2), said("gpt-4o", 3),
            said("in-house"), said("in-house", 4),
            said("gpt-4o", 1, "unheard-of"),
            said("gpt-4o-mini"),
            said("silent", usage_source="missing"),
            said(""),
        ],
    )  # fmt: skip
    return home


def check(home: Home, *given: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prices", "check", "--home", str(home.path), "--since", "2026-11-01", *given])
    return done.exit_code, done.stdout


def test_models_by_tier_with_what_they_need(seen: Home) -> None:
    found = {(one.model, one.service_tier): one for one in models_seen(seen, default_book(), date(2026, 11, 1))}
    needs = {key: (one.calls, one.unpriced_calls, one.fallback_calls, one.stale_calls) for key, one in found.items()}
    assert needs == {
        ("", ""): (1, 1, 0, 0),
        ("gpt-4o", ""): (3, 0, 0, 0),
        ("gpt-4o", "unheard-of"): (1, 0, 1, 0),
        ("gpt-4o-mini", ""): (1, 0, 0, 0),
        ("in-house", ""): (2, 2, 0, 0),
        ("silent", ""): (1, 0, 0, 0),
    }
    house = found["in-house", ""]
    assert (house.input_tokens, house.first_seen.day, house.last_seen.day) == (2000, 1, 4)
    assert [one.model for one in models_seen(seen, default_book(), date(2026, 11, 4))] == ["in-house"]


def test_every_finding_says_what_to_do(seen: Home, tmp_path: Path) -> None:
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(OVERLAY)
    code, text = check(seen, "--overlay", str(overlay), "--json")
    document = json.loads(text)
    findings = {finding["where"]: finding["what"] for finding in document["findings"]}
    assert code == 1
    assert findings["openai in-house"] == (
        "2 of 2 calls from 2026-11-01 to 2026-11-04 have no price; add to the overlay, below prices: "
        '- {name: in-house, provider: openai, model: "in-house", valid_from: 2026-11-01, '
        "prices: {input_mtok: …, output_mtok: …}}"
    )
    assert "1 of 1 calls" in findings["openai gpt-4o unheard-of"]
    assert "service_tier: unheard-of" in findings["openai gpt-4o unheard-of"]
    assert findings["openai gpt-4o"] == (
        "2 of 3 calls from 2026-11-01 to 2026-11-03 are priced otherwise today, -0.003000000000 USD; "
        "run tollmeter etl reprice --since 2026-11-02 --dry-run"
    )
    assert "no price can be given to what has no name" in findings["openai (no model)"]
    assert len(findings) == 4
    models = {(one["model"], one["service_tier"]): one for one in document["models"]}
    assert models["gpt-4o", ""]["difference_usd"] == "-0.003000000000"
    assert "in-house" in check(seen, "--overlay", str(overlay))[1]


def test_what_it_says_to_do_leaves_nothing_to_say(home: Home, tmp_path: Path) -> None:
    land(home, [said("gpt-4o", 2), said("in-house"), said("gpt-4o", 1, "unheard-of")])
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(
        OVERLAY
        + "  - {name: house, provider: openai, model: in-house, valid_from: 2026-11-01, "
        + "prices: {input_mtok: 3, output_mtok: 3}}\n"
        + "  - {name: tier, provider: openai, model: gpt-4o, service_tier: unheard-of, valid_from: 2026-11-01, "
        + "prices: {input_mtok: 2, output_mtok: 2}}\n"
    )
    code, text = check(home, "--overlay", str(overlay), "--json")
    assert (code, len(json.loads(text)["findings"])) == (1, 3)
    assert all("priced otherwise today" in finding["what"] for finding in json.loads(text)["findings"])
    etl.run(home)
    given = ["--since", "2026-11-01", "--overlay", str(overlay), "--home", str(home.path), "--json"]
    done = json.loads(CliRunner().invoke(app, ["etl", "reprice", *given]).stdout)
    assert Decimal(done["difference_usd"]) == Decimal("-0.0015") + Decimal("0.003") - Decimal("0.0005")
    assert check(home, "--overlay", str(overlay)) == (
        0, "3 entries of acme.yaml over genai-prices 0.2.3; 3 models in the lake: 0 findings\n",
    )  # fmt: skip


def test_a_home_without_a_lake_has_seen_nothing(home: Home) -> None:
    assert check(home) == (0, "no overlay; genai-prices 0.2.3: 0 findings\n")
    assert not home.path.exists()
