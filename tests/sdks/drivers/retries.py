"""Answers that make an SDK try again: real bodies, collected from public issues."""

from __future__ import annotations

import json
from pathlib import Path

from sdks.drivers.replay import Answer


def refused(shared: Path, provider: str, *statuses: int) -> tuple[Answer, ...]:
    """One refusal for each status, which asks to come back after a millisecond."""
    lines = (shared / "data" / "error_bodies_from_issues.jsonl").read_text().splitlines()
    body = next(row["body"] for row in map(json.loads, lines) if row["provider"].startswith(provider))
    headers = {"content-type": "application/json", "retry-after-ms": "1"}
    return tuple(Answer(status, headers, [json.dumps(body).encode()]) for status in statuses)
