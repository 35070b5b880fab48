"""A sandbox's stdout, from the handler to the lake: one line is the event and its metrics, and lands like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tollmeter import etl
from tollmeter.etl.lake import existing_tables
from tollmeter.model.home import Home

EVENTS = Path(__file__).parents[1] / "data" / "lambda"
FUNCTION = """
import json, sys
from types import SimpleNamespace
from tollmeter.instrumentation import consume_batch, instrument_lambda, llm_call

def handle(record):
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=1000, output_tokens=100)
    if json.loads(record["body"])["n"] == 2:
        raise ValueError("größe")

@instrument_lambda(team="core")
def handler(event, context):
    print("a line of the function's own")
    if "Records" in event:
        return consume_batch(event, handle)
    return {"statusCode": 200, "body": "ok"}

for name in sys.argv[1:]:
    sys.stdout.flush()
    handler(json.load(open(name)), SimpleNamespace(function_name="chat", aws_request_id=name.rpartition("/")[2]))
"""


def lines_of(*events: str, **env: str) -> list[bytes]:
    """What a sandbox writes to stdout, invoked with some events."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TOLLMETER", "AWS", "OTEL"))}
    command = [sys.executable, "-u", "-c", FUNCTION, *(str(EVENTS / f"{name}.json") for name in events)]
    sandbox = {"AWS_LAMBDA_FUNCTION_NAME": "chat", "AWS_REGION": "eu-central-1", "HOME": "/nonexistent"}
    done = subprocess.run(command, env=environ | sandbox | env, capture_output=True, check=True, timeout=60)
    return done.stdout.splitlines(keepends=True)


def rows(home: Home, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = existing_tables(home)[table].scan().to_arrow().to_pylist()
    return found


def test_the_lines_of_a_sandbox_land_and_nothing_of_their_metrics_does(home: Home) -> None:
    lines = [line for line in lines_of("api_gateway_v1", "sqs") if line.startswith(b"{")]
    documents = [json.loads(line) for line in lines]
    assert [each["kind"] for each in documents] == ["request", "llm_call", "request", "llm_call", "request"]
    assert all("_aws" in each and each["environment"] == "none" for each in documents)
    raw = home.raw / "dt=2026-11-24" / "hour=12" / "sandbox.jsonl"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"".join(lines))
    report = etl.run(home)
    assert (report.lines, report.landed, report.quarantined) == (5, 5, 0)
    found = sorted(rows(home, "requests"), key=lambda row: row["timestamp"])
    assert [(row["method"], row["route"], row["error_type"]) for row in found] == [
        ("POST", "/items/{id}", ""),
        ("QUEUE", "my-queue", ""),
        ("QUEUE", "my-queue", "ValueError"),
    ]
    assert {row["environment"] for row in found} == {""}
    assert {(row["service"], row["region"], row["team"]) for row in found} == {("chat", "eu-central-1", "core")}
    assert ["cold_start" in json.loads(row["tags"]) for row in found] == [True, False, False]
    calls = rows(home, "llm_calls")
    assert sum(row["cost_usd"] for row in calls) == sum(row["cost_usd"] or 0 for row in found)
    assert {row["extra"] for table in (found, calls) for row in table} == {None}


@pytest.mark.shared_data
def test_the_lines_are_valid_by_the_formats_schema(shared: Path) -> None:
    schema = json.loads((shared / "schemas" / "emf" / "emf-schema.json").read_text())
    lines = lines_of("event_bridge", "sqs_one", TOLLMETER_METRIC_PRESET="ai_platform", TOLLMETER_ENVIRONMENT="prod")
    documents = [json.loads(line) for line in lines if line.startswith(b"{")]
    for document in documents:
        jsonschema.Draft7Validator(schema).validate(document)
    assert [document.get("TokensUsed") for document in documents] == [None, 1100, None]


@pytest.mark.parametrize(
    ("env", "expected"), [({"TOLLMETER_EMF": "never"}, False), ({"TOLLMETER_ROUTE": "stdout"}, True)]
)
def test_metrics_on_the_line_are_a_setting(env: dict[str, str], expected: bool) -> None:
    (line,) = (line for line in lines_of("event_bridge", **env) if line.startswith(b"{"))
    assert ("_aws" in json.loads(line)) is expected
