"""A provider of spans with our processor, and the calls that it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from tollmeter.instrumentation import active
from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tap import install_taps
from tollmeter.instrumentation.tracing_otel import OtelTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.settings import Settings

OPENAI = "opentelemetry.instrumentation.genai.openai"


BASE: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
}


TOKENS: dict[str, Any] = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}


USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}


ANSWER = {"model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE}


class Scene:
    """A provider with our processor, and the calls that were written."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.foreign = ForeignCalls()
        self.provider.add_span_processor(self.foreign)
        self.writer = MemoryWriter()
        settings = Settings(service="svc", providers={"llm.test": "openai"})
        tracing = OtelTracing(self.provider, self.foreign, settings)
        self.recorder = Recorder(settings, self.writer, tracing, Attributor(settings))

    def tracer(self, scope: str, version: str = "") -> trace.Tracer:
        return self.provider.get_tracer(scope, version)

    def span(self, scope: str, attributes: dict[str, Any], version: str = "", name: str = "chat gpt-4o") -> None:
        """One span, started and ended."""
        self.tracer(scope, version).start_span(name, kind=SpanKind.CLIENT, attributes=attributes).end()

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.writer.lines]

    @property
    def call(self) -> dict[str, Any]:
        (found,) = self.calls
        return found

    def tapped_call(self) -> None:
        """A model call that the tap on httpx2 sees."""
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))
        with httpx2.Client(transport=transport) as client:
            client.post("http://llm.test/v1/chat/completions", json={"model": "gpt-4o"})


@contextmanager
def open_scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A scene that spans and taps write to; in the end nothing was lost."""
    found = Scene()
    install_taps()
    monkeypatch.setattr(active, "_default", [found.recorder])
    losses.take()
    yield found
    assert losses.take() == {}


def counts(call: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in call.items() if name.endswith("_tokens")}
