"""What reading other instrumentations' spans costs in OTel mode: CPU µs per span, started and ended.

Run as `python -m benchmarks.spans` in `tests/`; docs/modes.md holds what it said.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

from benchmarks.cpu import SERVICE_CORE, pinned
from benchmarks.paired import difference
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tollmeter.instrumentation.active import use_recorder
from tollmeter.instrumentation.attribution import Attributor
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.otel.sampling import record_unsampled
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.instrumentation.tracing_otel import OtelTracing
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.settings import Settings

ROUNDS, TURNS = 40, 500
PLAIN: dict[str, Any] = {f"app.attribute.{number}": number for number in range(10)}
INFERENCE: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read.input_tokens": 600,
    "server.address": "127.0.0.1",
}


def main() -> None:
    """Measure in interleaved rounds and print a table."""
    writer = MemoryWriter()
    bare, ours, dropped, recorded = TracerProvider(), TracerProvider(), *_two(ALWAYS_OFF)
    foreign = ForeignCalls()
    ours.add_span_processor(foreign)
    record_unsampled(recorded)
    settings = Settings(service="bench")
    use_recorder(Recorder(settings, writer, OtelTracing(ours, foreign, settings), Attributor(settings)))
    pairs = {
        "any span": (bare, ours, PLAIN),
        "a span that becomes a call, priced and encoded": (bare, ours, INFERENCE),
        "an unsampled span, recorded": (dropped, recorded, PLAIN),
    }
    with pinned(SERVICE_CORE):
        for name, (before, after, attributes) in pairs.items():
            taken: tuple[list[float], list[float]] = ([], [])
            for index in range(ROUNDS):
                for side in (0, 1) if index % 2 else (1, 0):
                    taken[side].append(_turn((before, after)[side], attributes))
                writer.lines.clear()
            found = difference(*taken)
            row = f"{name}: {median(taken[0]):.1f}, +{found.median:.1f} ({found.low:+.1f} to {found.high:+.1f}) µs\n"
            sys.stdout.write(row)


def _two(sampler: Any) -> tuple[TracerProvider, TracerProvider]:
    return TracerProvider(sampler=sampler), TracerProvider(sampler=sampler)


def _turn(provider: TracerProvider, attributes: dict[str, Any]) -> float:
    tracer = provider.get_tracer("opentelemetry.instrumentation.genai.openai", "1.3b0")
    start = time.process_time_ns()
    for _ in range(TURNS):
        tracer.start_span("chat gpt-4o", attributes=attributes).end()
    return (time.process_time_ns() - start) / TURNS / 1000


if __name__ == "__main__":
    main()
