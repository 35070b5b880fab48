"""`tollmeter prices` as people and machines use it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tollmeter.cli.main import main
from tollmeter.pricing.table import TABLE_PATH

COMMAND = Path(sys.executable).with_name("tollmeter")


@pytest.fixture(autouse=True)
def _no_lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or the lake of whoever runs the tests would be checked."""
    monkeypatch.setenv("TOLLMETER_HOME", str(tmp_path / "home"))


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "prices", *arguments], capture_output=True, text=True, check=False, timeout=60)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process: what it prints and how it exits, without its start."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["tollmeter", "prices", *arguments]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(arguments, int(str(code or 0)), out.getvalue(), err.getvalue())


def _json(*arguments: str) -> Any:
    done = _run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lookup_shows_the_row_that_held_on_the_day() -> None:
    assert _json("lookup", "o3", "--at", "2025-06-01")["prices"]["input_mtok"] == "10"
    assert _json("lookup", "o3", "--at", "2025-07-01")["prices"]["input_mtok"] == "2"


def test_lookup_shows_thresholds() -> None:
    done = _command("lookup", "gemini-2.5-pro", "--provider", "gcp.gemini")
    assert done.returncode == 0
    assert "200,000 input tokens" in done.stdout
    assert "google/gemini-2.5-pro" in done.stdout


def test_lookup_of_an_unknown_model_names_near_ones() -> None:
    done = _command("lookup", "gpt4o")
    assert done.returncode == 2
    assert "did you mean" in done.stderr
    assert "gpt-4o" in done.stderr


def test_list_by_provider() -> None:
    models = _json("list", "--provider", "x_ai")["models"]
    assert {"provider": "x-ai", "model": "grok-3", "since": []} in models
    assert {model["provider"] for model in models} == {"x-ai"}
    assert _run("list", "--provider", "nobody").returncode == 2
    assert len(_run("list").stdout.splitlines()) == 2330


OVERLAY = """
currency: USD
prices:
  - {name: own, provider: openai, model: gpt-4o, valid_from: 2026-01-01, prices: {input_mtok: 2}}
  - {name: next, provider: openai, model: gpt-4o, valid_from: 2026-07-01, prices: {input_mtok: 1}}
  - {name: house, provider: my-gateway, model: house-7b, valid_from: 2026-01-01, prices: {input_mtok: 1}}
discounts:
  - {name: edp, provider: openai, percent: 10, valid_from: 2026-01-01}
  - {name: batch, provider: openai, service_tier: batch, percent: 60, valid_from: 2026-01-01}
fees:
  - {name: ci, provider: openai, tool: code_interpreter, usd_per_use: 0.03, valid_from: 2026-01-01}
"""


@pytest.fixture
def overlay(tmp_path: Path) -> str:
    path = tmp_path / "acme.yaml"
    path.write_text(OVERLAY)
    return str(path)


def test_lookup_says_what_counts_and_what_does_not(overlay: str) -> None:
    found = _json("lookup", "gpt-4o", "--overlay", overlay, "--at", "2026-06-01")
    assert found["prices"]["input_mtok"] == "2"
    assert found["prices"]["output_mtok"] == "9"
    assert [(reason["ref"].split("#")[-1], reason["taken"], reason["why"]) for reason in found["why"]] == [
        ("own 2026-01-01", True, "sets input_mtok"),
        ("next 2026-07-01", False, "holds only from 2026-07-01 on"),
        ("edp 2026-01-01", True, "times 0.9"),
        ("batch 2026-01-01", False, "is for tier batch"),
        ("ci 2026-01-01", True, "0.03 USD per use of code_interpreter"),
        ("genai-prices 0.2.3 openai/gpt-4o", True, "by its exact name"),
    ]


def test_lookup_adds_a_usage_up_line_by_line(overlay: str) -> None:
    usage = "input=1000,cache_read=600,output=100,code_interpreter=2"
    cost = _json("lookup", "gpt-4o", "--overlay", overlay, "--at", "2026-06-01", "--usage", usage)["cost"]
    lines = {line["what"]: (line["quantity"], line["usd_each"], line["usd"]) for line in cost["lines"]}
    assert lines == {
        "input_mtok": (400, "0.000002", "0.0008"),
        "cache_read_mtok": (600, "0.000001125", "0.000675"),
        "output_mtok": (100, "0.000009", "0.0009"),
        "code_interpreter": (2, "0.03", "0.06"),
    }
    assert Decimal(cost["cost_usd"]) == Decimal("0.062375") == sum(Decimal(line[2]) for line in lines.values())
    text = _run("lookup", "gpt-4o", "--overlay", overlay, "--at", "2026-06-01", "--usage", usage).stdout
    assert "total, priced" in text
    assert "0.062375" in text


def test_lookup_takes_the_overlay_of_the_settings(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLMETER_PRICE_OVERLAY", overlay)
    assert _json("lookup", "house-7b", "--provider", "my-gateway")["price_ref"] == "acme.yaml#house 2026-01-01"


def test_lookup_tells_the_geography_premium() -> None:
    model = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
    (reason,) = _json("lookup", model, "--provider", "aws.bedrock")["why"]
    assert reason["why"].endswith("; geography eu: +10 % on the global price")


@pytest.mark.parametrize("usage", ["input", "input=x", "input=-1", "=3"])
def test_lookup_of_a_usage_that_is_none(usage: str) -> None:
    done = _run("lookup", "gpt-4o", "--usage", usage)
    assert done.returncode == 2
    assert "NAME=COUNT with commas between, of input, output, cache_read" in done.stderr


def test_check_of_a_sound_overlay(overlay: str) -> None:
    done = _run("check", "--overlay", overlay)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 entries of acme.yaml over genai-prices 0.2.3: 0 findings" in done.stdout


def test_check_finds_slips(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("""
currency: USD
discounts:
  - {name: a, provider: opnai, percent: 10, valid_from: 2026-01-01}
  - {name: b, provider: openai, model: gpt-nine, percent: 10, valid_from: 2026-01-01}
resources:
  - {name: c, provider: azure.ai.openai, resource_id: chat, model: gpt-9000, valid_from: 2026-01-01}
""")
    done = _run("check", "--overlay", str(path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"] == [
        {"where": "acme.yaml#a 2026-01-01", "what": "no provider is named 'opnai'; is openai meant?"},
        {"where": "acme.yaml#a 2026-01-01", "what": "provider 'opnai' has no prices to adjust"},
        {"where": "acme.yaml#b 2026-01-01", "what": "openai has no price for a model 'gpt-nine'"},
        {
            "where": "acme.yaml#c 2026-01-01",
            "what": "azure.ai.openai has no price for the model 'gpt-9000' it stands for",
        },
    ]


def test_check_of_what_is_not_allowed(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    path.write_text('{\n "currency": "EUR"}')
    done = _run("check", "--overlay", str(path))
    assert done.returncode == 2
    assert "acme.json, line 2: currency: 'EUR' is not allowed: expected one of USD" in done.stderr


def test_diff_of_two_dates() -> None:
    done = _run("diff", "shipped@2025-06-09", "shipped@2025-06-10", "--json")
    assert done.returncode == 1
    changes = {
        (each["provider"], each["model"], each["service_tier"]): each for each in json.loads(done.stdout)["changes"]
    }
    assert changes["openai", "o3", ""]["prices"] == {"input_mtok": ["10", "2"], "output_mtok": ["40", "8"]}
    assert changes["openai", "o3", ""]["kind"] == "changed"


def test_diff_of_an_overlay(overlay: str) -> None:
    done = _run("diff", "shipped@2026-06-01", f"{overlay}@2026-06-01", "--json")
    changes = {
        (each["provider"], each["model"], each["service_tier"]): each for each in json.loads(done.stdout)["changes"]
    }
    assert changes["openai", "gpt-4o", ""]["prices"]["input_mtok"] == ["2.5", "2"]
    assert changes["my-gateway", "house-7b", ""]["kind"] == "added"
    assert {provider for provider, _, _ in changes} == {"openai", "my-gateway"}
    text = _run("diff", "shipped@2026-06-01", f"{overlay}@2026-06-01")
    assert "46 added, 0 removed, 108 changed" in text.stdout  # 45 batch tiers have no list price before 2026-10-14


def test_diff_of_nothing_and_of_another_table(tmp_path: Path) -> None:
    assert _run("diff", "shipped", "shipped").returncode == 0
    table = json.loads(TABLE_PATH.read_text())
    for provider in table["providers"]:
        provider["models"] = [model for model in provider["models"] if model["id"] != "gpt-4o"]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(table))
    done = _run("diff", str(old), "shipped", "--json")
    kinds = {(each["provider"], each["model"], each["kind"]) for each in json.loads(done.stdout)["changes"]}
    assert ("openai", "gpt-4o", "added") in kinds
    assert _run("diff", "nowhere.yaml", "shipped").returncode == 2
    assert _run("diff", "shipped@x", "shipped").returncode == 2


def test_build_writes_and_checks_the_table(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    assert _run("build", "--check", "--out", str(path)).returncode == 1
    assert _run("build", "--out", str(path)).returncode == 0
    assert path.read_bytes() == TABLE_PATH.read_bytes()
    assert _run("build", "--check").returncode == 0
