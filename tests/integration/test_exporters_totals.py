"""Without an outage every sink holds the tokens and the cost of the lake, whatever form it gives them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import zstandard
from recorded_events import served
from sink_doubles import doubles
from xray_documents import walk

from tollmeter import etl
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import SINKS, open_sinks
from tollmeter.exporters.sinks.stdout import StdoutLogs
from tollmeter.model.events import encode
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder
from tollmeter.sql.engine import open_engine

AWS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}
METRICS = ("llm.input_tokens", "llm.output_tokens", "llm.cost_usd")
FIELDS = ("input_tokens", "output_tokens", "cost_usd")
SPAN = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "tollmeter.cost_usd")
LEAST = Decimal("1e-9")


def summed(rows: Iterable[dict[str, Any]], names: tuple[str, ...]) -> list[Decimal]:
    kept = list(rows)
    return [sum((Decimal(str(row.get(name) or 0)) for row in kept), Decimal(0)) for name in names]


def of_lines(lines: Iterable[bytes]) -> list[Decimal]:
    return summed((row for line in lines if (row := msgspec.json.decode(line))["kind"] == "llm_call"), FIELDS)


def of_segments(documents: Iterable[dict[str, Any]]) -> list[Decimal]:
    calls = [node for document in documents for node in walk(document) if node.get("namespace")]
    return summed(
        (node.get("metadata", {}).get("tollmeter", {}) | node.get("annotations", {}) for node in calls), FIELDS
    )


def seen(found: dict[str, Any]) -> dict[str, list[Decimal]]:
    """Input tokens, output tokens and cost, by sink."""
    found["statsd"].settle()
    metrics = ({datum["MetricName"]: datum.get("Value", 0)} for datum in found["metrics"].data)
    samples = ({sample.name: sum(sample.values)} for sample in found["statsd"].samples)
    objects = [zstandard.decompress(body) for body in found["s3"].objects.values()]
    calls = [event for event in found["logs"].events["/tollmeter/svc"] if event["kind"] == "llm_call"]
    return {
        "s3": of_lines(line for body in objects for line in body.splitlines()),
        "firehose": of_lines(line for record in found["firehose"].records for line in record.splitlines()),
        "cloudwatch_logs": summed(calls, FIELDS),
        "cloudwatch_metrics": summed(metrics, METRICS),
        "cloudwatch_emf": summed(found["logs"].events["/tollmeter/metrics"], METRICS),
        "datadog_metrics": summed(samples, tuple(f"tollmeter.{name}" for name in METRICS)),
        "otlp": summed((span.attributes for span in found["otlp"].spans), SPAN),
        "datadog_traces": summed((span.attributes for span in found["agent"].spans), SPAN),
        "xray": of_segments(found["xray"].documents.values()),
    }


def of_lake(home: Home) -> list[Decimal]:
    query = "SELECT sum(input_tokens) i, sum(output_tokens) o, sum(cost_usd) c FROM llm_calls"
    with open_engine("duckdb", home) as engine:
        [row] = engine.execute(query, {}).to_pylist()
    return [Decimal(value) for value in row.values()]


def test_tokens_and_cost_of_every_sink_are_those_of_the_lake(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.path.mkdir()
    segment = create_segment(service_folder(home.spool, "svc"))
    for event in served(300, now=datetime.now(UTC), service="svc"):
        os.write(segment.fd, encode(event))
    close_segment(segment)
    with doubles(home) as found:
        for name, value in (AWS | {name: value for each in found.values() for name, value in each.env.items()}).items():
            monkeypatch.setenv(name, value)
        others = tuple(sink for sink in SINKS if sink != "stdout")
        settings = Settings.load(sinks=others, region="eu-central-1")
        stdout = StdoutLogs(found["stdout"].write)
        report = Forwarder(home, settings, sinks=[*open_sinks(home, settings), stdout]).run_once()
        report.check()
        assert (report.errors, report.waiting) == ({}, 0)
        told = seen(found)
    monkeypatch.delenv("TOLLMETER_RAW_URL")  # or the lake would be filled from the bucket that has gone
    etl.run(home).check()
    lake = of_lake(home)
    assert lake[0] > lake[1] > 100_000
    assert lake[2] > 1
    for sink, totals in told.items():
        assert totals[:2] == lake[:2], sink
        assert abs(totals[2] - lake[2]) < LEAST, sink
    assert told.keys() | {"raw", "stdout"} == SINKS.keys()
