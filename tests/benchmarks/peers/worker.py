"""A FastAPI service in one process without sockets, instrumented by one peer; its upstream is in memory.

Run as `python -m benchmarks.peers.worker VARIANT SINK HOME` in a peer's environment; reads `COUNT NAME` from stdin and
answers CPU µs per request, of all threads, with what the exporters have queued worked off.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import redirect_stdout
from typing import Any

from benchmarks.tap import LONG, model_client
from benchmarks.worker import serve

PING, PLAIN, STREAM, CROWDED = "ping", "plain call", f"stream of {LONG} chunks", "ping, one of 100 routes"
WORKLOADS = (PING, PLAIN, STREAM, CROWDED)
_PATHS = {PING: "/ping", PLAIN: "/chat", STREAM: "/chat/stream", CROWDED: "/ping"}
_FEW, _MANY = 8, 100
_OK = 200
_HEADERS = [
    (b"host", b"bench"),
    (b"content-type", b"application/json"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (b"x-tenant-id", b"acme"),
]
_ASKED: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How is usage counted?"}]}


def _app(client: Any, routes: int) -> Any:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    async def other(number: str) -> dict[str, str]:
        return {"number": number}

    for index in range(routes - 3):
        app.get(f"/others/{index}/{{number}}")(other)

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/chat")
    async def chat() -> dict[str, str]:
        answer = await client.chat.completions.create(**_ASKED, extra_headers={"x-case": PLAIN})
        return {"text": answer.choices[0].message.content}

    @app.get("/chat/stream")
    async def stream() -> StreamingResponse:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = await client.chat.completions.create(**_ASKED, **options, extra_headers={"x-case": STREAM})

        async def said() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                if chunk.choices:
                    yield (chunk.choices[0].delta.content or "").encode()

        return StreamingResponse(said())

    return app


async def _drive(app: Any, path: str) -> None:
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": _HEADERS,
        "client": ("127.0.0.1", 1), "server": ("bench", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != _OK:
            raise RuntimeError(f"{path}: {message['status']}")

    await app(scope, receive, send)


Start = Callable[[str, str], tuple[Callable[[Any], Any], Callable[[], Any]]]
"""Gets the sink's URL and a folder; returns what instruments an app, and what works off a queue."""


def _bare(_sink: str, _home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    return (lambda app: app), (lambda: None)


def _tollmeter(_sink: str, home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    from tollmeter.instrumentation import instrument

    settings: dict[str, Any] = {"headers": {"tenant_id": "x-tenant-id"}, "propagate_hosts": ("*",)}
    return (lambda app: instrument(app, mode="lean", home=home, service="bench", **settings)), (lambda: None)


def _providers(sink: str) -> Any:
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{sink}/v1/traces")))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(f"{sink}/v1/metrics"))]))
    return tracers


def _fastapi(app: Any) -> Any:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(app)
    return app


def _contrib(sink: str, _home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    return _fastapi, _providers(sink).force_flush


def _genai(sink: str, _home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    tracers = _providers(sink)
    OpenAIInstrumentor().instrument()
    return _fastapi, tracers.force_flush


def _traceloop(sink: str, _home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    os.environ |= {"TRACELOOP_TELEMETRY": "false", "TRACELOOP_TRACE_CONTENT": "false"}
    from opentelemetry import trace
    from traceloop.sdk import Traceloop  # pyright: ignore[reportMissingImports]

    Traceloop.init(app_name="bench", api_endpoint=sink, api_key="bench", disable_batch=False)
    provider: Any = trace.get_tracer_provider()
    return _fastapi, provider.force_flush


def _ddtrace(sink: str, _home: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    os.environ |= {
        "DD_TRACE_AGENT_URL": sink, "DD_SERVICE": "bench", "DD_ENV": "bench", "DD_REMOTE_CONFIGURATION_ENABLED": "0",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0", "DD_DOGSTATSD_URL": "udp://127.0.0.1:9",
    }  # fmt: skip
    importlib.import_module("ddtrace.auto")  # patches FastAPI and all else it knows
    from ddtrace.llmobs import LLMObs  # pyright: ignore[reportMissingImports]
    from ddtrace.trace import tracer  # pyright: ignore[reportMissingImports]

    LLMObs.enable(ml_app="bench", agentless_enabled=False)

    def flush() -> None:
        tracer.flush()
        LLMObs.flush()

    return (lambda app: app), flush


# A stream has more spans than the default queue, and a peer that drops them would be cheap for the wrong reason.
_ROOM = {"OTEL_BSP_MAX_QUEUE_SIZE": str(1 << 16)}
VARIANTS: dict[str, Start] = {
    "bare": _bare, "Tollmeter lean": _tollmeter, "contrib FastAPI": _contrib, "contrib + GenAI OpenAI": _genai,
    "Traceloop + contrib": _traceloop, "ddtrace + LLM Observability": _ddtrace,
}  # fmt: skip


def _main(variant: str, sink: str, home: str) -> None:
    os.environ |= _ROOM
    with redirect_stdout(sys.stderr):  # Traceloop greets on stdout, which here carries the answers
        instrumented, settle = VARIANTS[variant](sink, home)
    client = model_client()
    small, large = (instrumented(_app(client, routes)) for routes in (_FEW, _MANY))

    def turn(name: str) -> Awaitable[None]:
        return _drive(large if name == CROWDED else small, _PATHS[name])

    async def timed(name: str, count: int) -> float:
        for _ in range(max(2, count // 4)):
            await turn(name)
        settle()
        gc.collect()
        start = time.process_time_ns()
        for _ in range(count):
            await turn(name)
        settle()
        return (time.process_time_ns() - start) / count / 1000

    serve(timed)


if __name__ == "__main__":
    _main(*sys.argv[1:])
