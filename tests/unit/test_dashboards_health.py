"""The lights of data health: each turns where its rule says."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.dashboards.prepare import health_rows
from tollmeter.dashboards.prepare.health_states import State, states
from tollmeter.dashboards.queries.health import Health, PipelineTotal, Quarantined, RunSeen, ServiceSeen, TableFiles
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import window

NOW = datetime(2026, 11, 23, 10, 37)
SERVICE = ServiceSeen("chat", NOW - timedelta(minutes=2), NOW - timedelta(minutes=1), 1000, 0, 0, 0, 0)
RUN = RunSeen(NOW, "id", "etl", "", "ok", "", 10.0, 0.0, {"landed": 5})
WELL = Health(services=(SERVICE,), runs=(RUN,))


def total(metric: str, count: int, component: str = "etl", sink: str = "") -> PipelineTotal:
    return PipelineTotal(f"tollmeter.{metric}", component, sink, 1, Decimal(count), Decimal(count), NOW)


def light(found: Health, key: str) -> State:
    return next(one for one in states(found, NOW) if one.key == key)


@pytest.mark.parametrize(
    ("key", "changes", "expected"),
    [
        ("landing", {}, "green"),
        ("landing", {"services": (replace(SERVICE, last_ingested_at=NOW - timedelta(minutes=16)),)}, "amber"),
        ("landing", {"services": (replace(SERVICE, last_ingested_at=NOW - timedelta(hours=3)),)}, "red"),
        ("landing", {"services": ()}, "none"),
        ("services", {"services": (SERVICE, replace(SERVICE, service="b", last_at=NOW - timedelta(days=2)))}, "amber"),
        ("etl", {}, "green"),
        ("etl", {"runs": (replace(RUN, outcome="error"), RUN)}, "red"),
        ("etl", {"runs": (RUN, replace(RUN, outcome="error"))}, "amber"),
        ("etl", {"runs": ()}, "none"),
        ("forwarder", {"runs": (replace(RUN, component="forward", sink="xray", outcome="error"),)}, "red"),
        ("quarantine", {}, "green"),
        ("quarantine", {"quarantined": (Quarantined("x", 5, 1, NOW),), "totals": (total("lines_read", 100),)}, "amber"),
        ("quarantine", {"quarantined": (Quarantined("x", 6, 1, NOW),), "totals": (total("lines_read", 100),)}, "red"),
        ("quarantine", {"quarantined": (Quarantined("x", 1, 1, NOW),)}, "red"),
        ("losses", {}, "green"),
        ("losses", {"losses": {("chat", "spool_full"): 1}}, "amber"),
        ("losses", {"losses": {("chat", "spool_full"): 2}}, "red"),
        ("losses", {"totals": (total("dropped", 9, "forward", "xray"), total("dropped_sampled", 9, "forward", "xray"))},
         "green"),
        ("duplicates", {"totals": (total("lines_read", 100), total("duplicates", 5))}, "green"),
        ("duplicates", {"totals": (total("lines_read", 100), total("duplicates", 6))}, "amber"),
        ("unpriced", {"services": (replace(SERVICE, unpriced_calls=20),)}, "green"),
        ("unpriced", {"services": (replace(SERVICE, unpriced_calls=21),)}, "amber"),
        ("unpriced", {"services": (replace(SERVICE, unpriced_calls=101),)}, "red"),
        ("guessed", {"services": (replace(SERVICE, estimated_calls=150, missing_usage_calls=51),)}, "red"),
        ("inconsistent", {"services": (replace(SERVICE, inconsistent_calls=1),)}, "amber"),
        ("simulated", {"simulated": ("all", "model")}, "amber"),
        ("files", {}, "none"),
        ("files", {"files": (TableFiles("llm_calls", 9, 25, 25_000, 1, 1),)}, "amber"),
        ("files", {"files": (TableFiles("llm_calls", 9, 25, 25_000, 2, 1),)}, "green"),
        ("files", {"files": (TableFiles("llm_calls", 9, 99, 99 * (64 << 20), 1, 1),)}, "green"),
    ],
)  # fmt: skip
def test_a_light_turns_where_its_rule_says(key: str, changes: dict[str, Any], expected: str) -> None:
    assert light(replace(WELL, **changes), key).light == expected


def test_every_light_names_its_rule() -> None:
    assert all(one.rule and one.value for one in states(WELL, NOW))


def test_losses_tell_who_lost_what_and_why() -> None:
    found = replace(
        WELL,
        losses={("chat", "spool_full"): 3},
        totals=(total("dropped_late", 7, "forward", "xray"), total("in_doubt", 1, "forward", "otlp")),
    )
    assert [(who, count, by) for who, _, count, by in health_rows.losses(found)] == [
        ("xray", "7", "sink"), ("chat", "3", "service"), ("otlp", "1", "sink"),
    ]  # fmt: skip
    assert "too old" in health_rows.losses(found)[0][1]


def test_runs_tell_what_they_got_done() -> None:
    sink = replace(
        RUN, component="forward", sink="xray", outcome="error", error_type="Timeout", counts={"acknowledged": 9}
    )
    first, second = health_rows.runs(replace(WELL, runs=(RUN, sink)), window(Selection(), NOW))
    assert (first["rows"], first["outcome"], first["ok"]) == (5, "ok", True)
    assert (second["rows"], second["outcome"], second["ok"]) == (9, "Timeout", False)
