"""The demo from nothing, without any real trace at hand, and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tollmeter.model.home import Home


def demo(home: Home, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tollmeter.cli.main", "demo", "--no-serve", "--rows", "1200", *arguments]
    env = os.environ | {"TOLLMETER_SHARED": str(tmp_path / "absent")}
    done = subprocess.run(
        [*command, "--home", str(home.path)], capture_output=True, text=True, check=False, env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


def summary(home: Home, tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo(home, tmp_path, "--json").stdout)
    return found


@pytest.mark.slow
def test_the_demo_runs_from_nothing_and_again_adds_only_a_replay(home: Home, tmp_path: Path) -> None:
    first = summary(home, tmp_path)
    assert first["replay_source"] == "simulated rows"
    assert first["replayed_rows"] == 400
    assert first["replay_errors"] == {}
    assert first["etl"]["quarantined"] == first["etl"]["duplicates"] == 0
    assert first["calls"] == first["etl"]["by_table"]["llm_calls"] > 1500
    assert float(first["cost_usd"]) > 0
    assert Path(first["lake"]).is_dir()

    second = demo(home, tmp_path)
    calls = first["calls"] + 400
    assert f"rows    {calls:,} model calls of {first['requests'] + 400:,} requests" in second.stdout
    assert "simulated rows" in second.stdout
