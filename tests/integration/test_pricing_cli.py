"""`tollmeter prices` as people and machines use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("tollmeter")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "prices", *arguments], capture_output=True, text=True, check=False, timeout=60)


def _json(*arguments: str) -> Any:
    done = _run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lookup_shows_the_row_that_held_on_the_day() -> None:
    assert _json("lookup", "o3", "--at", "2025-06-01")["prices"]["input_mtok"] == "10"
    assert _json("lookup", "o3", "--at", "2025-07-01")["prices"]["input_mtok"] == "2"


def test_lookup_shows_thresholds() -> None:
    done = _run("lookup", "gemini-2.5-pro", "--provider", "gcp.gemini")
    assert done.returncode == 0
    assert "200,000 input tokens" in done.stdout
    assert "google/gemini-2.5-pro" in done.stdout


def test_lookup_of_an_unknown_model_names_near_ones() -> None:
    done = _run("lookup", "gpt4o")
    assert done.returncode == 2
    assert "did you mean" in done.stderr
    assert "gpt-4o" in done.stderr


def test_list_by_provider() -> None:
    models = _json("list", "--provider", "x_ai")["models"]
    assert {"provider": "x-ai", "model": "grok-3", "since": []} in models
    assert {model["provider"] for model in models} == {"x-ai"}
    assert _run("list", "--provider", "nobody").returncode == 2
    assert len(_run("list").stdout.splitlines()) == 2330
