"""Memory over a long run: what a request leaves behind would show here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "long_run.py"
REQUESTS = int(os.environ.get("TOLLMETER_LONG_RUN", "20000"))
EARLY = min(50_000, REQUESTS // 4)
BOUND = (20 << 20) if REQUESTS >= 1_000_000 else (5 << 20)
"""The bar is 20 MB over a million; over 20,000 it would hide 1 KiB a request."""


def test_memory_does_not_grow_with_requests() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(REQUESTS), str(EARLY)],
        capture_output=True,
        text=True,
        check=True,
        timeout=3600,
    )
    found = json.loads(done.stdout)
    assert found["lines"] > REQUESTS
    assert found["late_bytes"] - found["early_bytes"] < BOUND, found
    assert not done.stderr
