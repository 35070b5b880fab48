"""Requests, jobs and steps beside spans, in one process: whose ids, whose parent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from tollmeter.instrumentation import active, job, step
from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap import install_taps
from tollmeter.instrumentation.tracing_otel import OtelTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.settings import Settings

ANSWER = {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


class Scene:
    """A provider that is watched, and what was written."""

    def __init__(self) -> None:
        self.provider, foreign, self.writer = TracerProvider(), ForeignCalls(), MemoryWriter()
        self.provider.add_span_processor(foreign)
        settings = Settings(service="svc", team="core", baggage={"tenant_id": "tenant", "team": "team"})
        self.recorder = Recorder(
            settings, self.writer, OtelTracing(self.provider, foreign, settings), Attributor(settings)
        )
        self.tracer = self.provider.get_tracer("app")

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.writer.lines]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    found = Scene()
    install_taps()
    monkeypatch.setattr(active, "_default", [found.recorder])
    losses.take()
    yield found
    assert losses.take() == {}


def call() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))
    with httpx2.Client(transport=transport) as client:
        client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})


def ids(span: Any) -> tuple[str, str]:
    found = span.get_span_context()
    return format_trace_id(found.trace_id), format_span_id(found.span_id)


def test_a_job_under_a_servers_span_has_its_ids(scene: Scene) -> None:
    with scene.tracer.start_as_current_span("lambda", kind=SpanKind.SERVER) as server, job("digest"):
        call()
    told, request = scene.events
    assert (request["trace_id"], request["span_id"]) == ids(server)
    assert (told["trace_id"], told["parent_span_id"]) == ids(server)


def test_a_job_under_any_other_span_is_its_child(scene: Scene) -> None:
    with scene.tracer.start_as_current_span("nightly") as outer, job("digest"):
        pass
    (request,) = scene.events
    assert (request["trace_id"], request["parent_span_id"]) == ids(outer)
    assert request["span_id"] != request["parent_span_id"]


def test_a_job_inside_of_a_request_keeps_ids_of_its_own_and_what_happens_in_it(scene: Scene) -> None:
    with (
        scene.tracer.start_as_current_span("lambda", kind=SpanKind.SERVER),
        job("outer"),
        scene.tracer.start_as_current_span("of the outer one"),
        job("inner"),
    ):
        with scene.tracer.start_as_current_span("plan"), step("answer"):
            call()
        call()
    first, second, inner, outer = scene.events
    by_name = {found["name"]: found for found in inner["steps"]}
    assert inner["trace_id"] == outer["trace_id"] == first["trace_id"] == second["trace_id"]
    assert inner["parent_span_id"] == outer["span_id"] != inner["span_id"]
    assert set(by_name) == {"plan", "answer"}
    assert [found["name"] for found in outer["steps"]] == ["of the outer one"]
    assert by_name["plan"]["parent_span_id"] == inner["span_id"]
    assert by_name["answer"]["parent_span_id"] == by_name["plan"]["span_id"]
    assert first["parent_span_id"] == by_name["answer"]["span_id"]
    assert second["parent_span_id"] == inner["span_id"]


def test_a_call_outside_of_requests_is_below_the_current_span(scene: Scene) -> None:
    with scene.tracer.start_as_current_span("script") as outer:
        call()
    (told,) = scene.events
    assert (told["trace_id"], told["parent_span_id"]) == ids(outer)


def test_spans_of_frameworks_are_no_steps_and_nobodys_parent(scene: Scene) -> None:
    theirs = scene.provider.get_tracer("opentelemetry.instrumentation.httpx")
    with (
        job("digest"),
        scene.tracer.start_as_current_span("plan"),
        theirs.start_as_current_span("POST", kind=SpanKind.CLIENT),
    ):
        call()
        scene.tracer.start_span("retry").end()
    told, request = scene.events
    by_name = {found["name"]: found["span_id"] for found in request["steps"]}
    assert set(by_name) == {"plan", "retry"}
    assert told["parent_span_id"] == by_name["plan"]
    assert next(s["parent_span_id"] for s in request["steps"] if s["name"] == "retry") == by_name["plan"]


def test_a_call_told_by_a_span_is_no_step_as_well(scene: Scene) -> None:
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    with job("digest"), scene.tracer.start_as_current_span("plan"):
        scene.tracer.start_span("chat gpt-4o", attributes=told | usage).end()
    event, request = scene.events
    assert [found["name"] for found in request["steps"]] == ["plan"]
    assert event["parent_span_id"] == request["steps"][0]["span_id"]
    assert (event["trace_id"], event["request_id"]) == (request["trace_id"], request["request_id"])


def test_baggage_of_the_context_attributes_over_the_defaults(scene: Scene) -> None:
    token = otel_context.attach(baggage.set_baggage("tenant", "acme", baggage.set_baggage("team", "search")))
    with job("digest"):
        call()
    otel_context.detach(token)
    told, request = scene.events
    assert (request["tenant_id"], request["team"]) == (told["tenant_id"], told["team"]) == ("acme", "search")
