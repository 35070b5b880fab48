"""The main job on real input: a trace through a real service, to the token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tollmeter.etl import run
from tollmeter.model.home import Home
from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine

ROWS = int(os.environ.get("TOLLMETER_REPLAY_ROWS", "200"))
AZURE = "data/traces/azure_llm_2023/AzureLLMInferenceTrace_{}.csv"
TOTALS = """
SELECT COUNT(*) AS calls, SUM(input_tokens) AS given, SUM(output_tokens) AS made, SUM(cache_read_tokens) AS cached,
  SUM(CASE WHEN stream THEN 1 ELSE 0 END) AS streamed, COUNT(DISTINCT request_id) AS requests,
  SUM(CASE WHEN status = 'ok' AND cost_status = 'priced' THEN 1 ELSE 0 END) AS priced,
  MIN(tags) AS first_tags, MAX(tags) AS last_tags
FROM llm_calls
"""


def tollmeter(home: Home, *arguments: str) -> Any:
    command = [sys.executable, "-m", "tollmeter.cli.main", *arguments, "--home", str(home.path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def totals(home: Home) -> dict[str, Any]:
    with open_engine(ENGINE_DUCKDB, home) as engine:
        found: dict[str, Any] = engine.execute(TOTALS).to_pylist()[0]
        found["served"] = engine.execute("SELECT COUNT(*) AS n FROM requests").to_pylist()[0]["n"]
    return found


def azure_sums(path: Path, rows: int) -> tuple[int, int]:
    # Read apart from the reader under test.
    cells = [line.split(",") for line in path.read_text().splitlines()[1 : rows + 1]]
    return sum(int(given) for _, given, _ in cells), sum(int(made) for _, _, made in cells)


CASES = [("conv", "lean"), ("code", "otel")]
MORE = [pytest.param(*case, marks=pytest.mark.full) for case in (("conv", "otel"), ("code", "lean"))]


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "mode"), [*CASES, *MORE])
def test_a_replayed_azure_trace_is_in_the_lake_to_the_token(shared: Path, home: Home, name: str, mode: str) -> None:
    path = shared / AZURE.format(name)
    told = tollmeter(home, "replay", str(path), "--rows", str(ROWS), "--mode", mode)
    given, made = azure_sums(path, ROWS)
    assert (told["rows"], told["errors"], told["input_tokens"], told["output_tokens"]) == (ROWS, {}, given, made)
    report = run(home)
    assert report.quarantined == report.duplicates == 0

    found = totals(home)
    assert (found["calls"], found["given"], found["made"]) == (ROWS, given, made)
    assert (found["streamed"], found["priced"]) == (ROWS // 2, ROWS)
    assert found["served"] == found["requests"] == ROWS
    tags = json.loads(found["first_tags"])
    assert tags == {
        "tollmeter.simulated": "model,route,latency,tenant,user",
        "tollmeter.trace": f"AzureLLMInferenceTrace_{name}",
    }
    assert found["last_tags"] == found["first_tags"]

    again = run(home)
    assert (again.objects, again.lines, again.landed) == (0, 0, 0)
    assert totals(home) == found


@pytest.mark.shared_data
def test_a_raw_object_delivered_twice_changes_nothing(shared: Path, home: Home) -> None:
    tollmeter(home, "replay", str(shared / AZURE.format("code")), "--rows", "40")
    run(home)
    found = totals(home)
    originals = list(home.raw.rglob("*.jsonl.zst"))
    for raw in originals:
        raw.with_name(f"copy-{raw.name}").write_bytes(raw.read_bytes())
    assert run(home).landed == 0
    assert totals(home) == found
    # The same lines packed otherwise: no digest gives them away, so each is held against the lake.
    for raw in originals:
        lines = zstandard.ZstdDecompressor().stream_reader(raw.read_bytes(), read_across_frames=True).read()
        raw.with_name(f"plain-{raw.name.removesuffix('.zst')}").write_bytes(lines)
    again = run(home)
    assert (again.landed, again.lines) == (0, again.duplicates)
    assert again.duplicates >= 80
    assert totals(home) == found


@pytest.mark.shared_data
def test_cached_tokens_of_a_mooncake_trace_arrive(shared: Path, home: Home) -> None:
    path = shared / "data/traces/mooncake/conversation_trace.jsonl"
    told = tollmeter(home, "replay", str(path), "--rows", "60")
    run(home)
    found = totals(home)
    assert told["cached_tokens"] > 0
    assert (found["calls"], found["cached"], found["given"]) == (60, told["cached_tokens"], told["input_tokens"])
    assert found["given"] == sum(json.loads(line)["input_length"] for line in path.read_text().splitlines()[:60])


def test_a_file_that_is_no_trace_is_named_with_what_is_accepted(tmp_path: Path, home: Home) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("when,in,out\n")
    command = [sys.executable, "-m", "tollmeter.cli.main", "replay", str(path), "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "'when,in,out'" in done.stderr
    assert "TIMESTAMP,ContextTokens,GeneratedTokens" in done.stderr
    assert "Traceback" not in done.stderr
