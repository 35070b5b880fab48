"""Traces to Datadog's own test agent: it takes every one of them and gives it back."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from recorded_events import served
from sdks.venvs import python_of
from serving import free_port

from tollmeter.exporters.forwarder import Forwarder
from tollmeter.model.events import Event, LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

_PATIENCE_S = 30.0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The address of a running agent's OTLP port."""
    port, otlp, grpc = free_port(), free_port(), free_port()
    command: list[str | Path] = [
        python_of("ddapm-test-agent").with_name("ddapm-test-agent"),
        *("--host", "127.0.0.1", "-p", str(port), "--otlp-http-port", str(otlp), "--otlp-grpc-port", str(grpc)),
        *("--snapshot-dir", str(tmp_path), "--disable-llmobs-data-forwarding"),
    ]
    log = (tmp_path / "agent.log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/info")
            yield f"http://127.0.0.1:{otlp}"
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1.0):
            return
        time.sleep(0.1)
    raise TimeoutError(url)


def given_back(agent: str) -> Iterator[dict[str, Any]]:
    with urllib.request.urlopen(f"{agent}/test/session/traces", timeout=10.0) as answer:
        for request in json.load(answer):
            for group in request["resource_spans"]:
                for scope in group["scope_spans"]:
                    yield from scope["spans"]


def hexadecimal(text: str) -> str:
    return base64.b64decode(text).hex()


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in span["attributes"]}


def test_the_agent_takes_every_trace_and_gives_it_back(home: Home, agent: str) -> None:
    events: list[Event] = served(60, now=datetime.now(UTC))
    segment = create_segment(service_folder(home.spool, "chat"))
    for event in events:
        os.write(segment.fd, encode(event))
    close_segment(segment)
    settings = Settings.load({}, sinks=("datadog_traces",), datadog_otlp_endpoint=agent)
    report = Forwarder(home, settings).run_once()
    report.check()
    assert report.counts["datadog_traces.acknowledged"] == len(events)
    spans = {(hexadecimal(span["trace_id"]), hexadecimal(span["span_id"])): span for span in given_back(agent)}
    for event in events:
        assert isinstance(event, LlmCall | Request)
        span = spans[event.trace_id, event.span_id]
        assert hexadecimal(span.get("parent_span_id", "")) == event.parent_span_id
        assert int(span["start_time_unix_nano"]) == round(event.timestamp.timestamp() * 10**6) * 1000
    calls = [event for event in events if isinstance(event, LlmCall)]
    for call in calls:
        told = attributes(spans[call.trace_id, call.span_id])
        assert int(told.get("gen_ai.usage.input_tokens", 0)) == (call.input_tokens or 0)
        assert told["gen_ai.request.model"] == call.request_model
        assert told["tollmeter.cost_usd_exact"] == str(call.cost_usd)
    steps = sum(len(event.steps) for event in events if isinstance(event, Request))
    assert len(spans) == len(events) + steps
