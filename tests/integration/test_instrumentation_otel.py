"""OTel mode beside real OpenTelemetry: the same events, with the ids of the spans."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

PROGRAM = """
import asyncio, json, sys
import httpx2
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tollmeter.instrumentation import instrument, step
from tollmeter.instrumentation.writer import MemoryWriter

order = sys.argv[1]
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
# FastAPI's own telemetry would add spans of its own beside the contrib instrumentation's.
app = FastAPI(title="svc")
writer = MemoryWriter()
if order == "theirs-first":
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
instrument(app, writer=writer, providers={"llm.test": "openai"}, mode=sys.argv[2])
if order == "theirs-last":
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])

answer = {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
llm = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer)))

@app.get("/chat/{name}")
async def chat(name: str):
    with trace.get_tracer("mine").start_as_current_span("load profile"):
        pass
    with step("answer"):
        await llm.post("http://llm.test/v1/chat/completions", json={"model": "gpt-4o"})

@app.get("/boom")
async def boom():
    raise ValueError("boom")

async def main():
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        header = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
        await client.get("/chat/x", headers=header)
        await client.get("/boom")

asyncio.run(main())
print(json.dumps({
    "events": [json.loads(line) for line in writer.lines],
    "spans": [{
        "name": s.name, "kind": s.kind.name, "trace_id": f"{s.context.trace_id:032x}",
        "span_id": f"{s.context.span_id:016x}", "parent_id": f"{s.parent.span_id:016x}" if s.parent else "",
    } for s in spans.get_finished_spans()],
}))
"""


def run(order: str, mode: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), order, mode]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    document = json.loads(out.stdout)
    return document["events"], document["spans"]


@pytest.mark.parametrize("order", ["theirs-first", "theirs-last", "ours-alone"])
@pytest.mark.parametrize("mode", ["auto", "otel"])
def test_events_carry_the_ids_of_the_spans(order: str, mode: str) -> None:
    events, spans = run(order, mode)
    call, request, boom = events
    server = next(s for s in spans if s["kind"] == "SERVER" and s["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736")
    assert (request["trace_id"], request["span_id"]) == (server["trace_id"], server["span_id"])
    assert request["parent_span_id"] == "00f067aa0ba902b7"
    by_name = {s["name"]: s for s in spans}
    assert call["parent_span_id"] == by_name["answer"]["span_id"]
    assert call["trace_id"] == server["trace_id"]
    steps = {found["name"]: found for found in request["steps"]}
    assert set(steps) == {"load profile", "answer"}
    assert steps["load profile"]["span_id"] == by_name["load profile"]["span_id"]
    assert steps["answer"]["span_id"] == by_name["answer"]["span_id"]
    assert (boom["status_code"], boom["error_type"]) == (500, "ValueError")


def test_lean_mode_starts_no_span_beside_a_provider() -> None:
    events, spans = run("ours-alone", "lean")
    assert [event["kind"] for event in events] == ["llm_call", "request", "request"]
    assert "answer" not in {span["name"] for span in spans}
