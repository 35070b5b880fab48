"""One small service in every way of running OpenTelemetry that we know; prints its events and the spans exported.

    python otel_setups.py '[{"setup": "native", "mode": "auto", "env": {}}]'

The service, its answers and the requests made are the same in each, so that the events must be, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tollmeter.instrumentation import current_request, instrument, step
from tollmeter.instrumentation.writer import MemoryWriter

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ANSWER = {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
CHUNKS = (
    b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"a"}}]}\n\n'
    b'data: {"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\ndata: [DONE]\n\n'
)
pool = ThreadPoolExecutor(1)
writer = MemoryWriter()
exported = InMemorySpanExporter()
tracer = trace.get_tracer("app.orders")  # before any provider is set, as modules do


def upstream(request: httpx2.Request) -> httpx2.Response:
    """A provider that answers at once, in a stream where one is asked for."""
    if json.loads(request.content).get("stream"):
        return httpx2.Response(200, content=CHUNKS, headers={"content-type": "text/event-stream"})
    return httpx2.Response(200, json=ANSWER)


llm = httpx2.AsyncClient(transport=httpx2.MockTransport(upstream), base_url="http://llm.test/v1")


def provider(sampler: Any = None, **resource: str) -> Any:
    """An SDK provider whose spans are kept."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    found = TracerProvider(sampler=sampler, resource=Resource.create(resource))
    found.add_span_processor(SimpleSpanProcessor(exported))
    return found


def routes(app: FastAPI) -> None:
    """What the service does."""

    @app.get("/chat/{name}")
    async def chat(name: str) -> dict[str, str]:
        with tracer.start_as_current_span("load profile"):
            pass
        with tracer.start_as_current_span("plan") as planning, step("answer"):
            planning.set_attribute("app.name", name)
            await llm.post("/chat/completions", json={"model": "gpt-4o"})
        return {"current": trace.format_span_id(trace.get_current_span().get_span_context().span_id)}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            body = {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}}
            async with llm.stream("POST", "/chat/completions", json=body) as answer:
                async for chunk in answer.aiter_bytes():
                    yield chunk

        return StreamingResponse(parts())

    @app.get("/background")
    async def background() -> dict[str, int]:
        in_thread = tracer.start_span("ended in a thread")
        in_task = tracer.start_span("ended in a task")

        async def end() -> None:
            in_task.end()

        pool.submit(in_thread.end).result()
        await asyncio.get_running_loop().create_task(end())
        return {"status": 1}

    @app.get("/many")
    async def many() -> dict[str, int]:
        for number in range(20):
            tracer.start_span(f"part {number}").end()
        return {"steps": len(current_request().steps)}  # type: ignore[union-attr]

    @app.get("/boom")
    async def boom() -> None:
        raise ValueError("boom")


def begin(app: Any, mode: str, **settings: Any) -> Any:
    """As a service would."""
    return instrument(
        app, writer=writer, providers={"llm.test": "openai"}, baggage={"tenant_id": "tenant"}, mode=mode, max_steps=8,
        **settings,
    )  # fmt: skip


def instrumented_by_contrib(app: FastAPI) -> None:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])


# Each gives the app to serve; what is after a `yield` happens in the service's start-up.
def nothing(mode: str) -> Any:
    yield begin(FastAPI(title="svc"), mode)


def contrib_first(mode: str) -> Any:
    trace.set_tracer_provider(provider())
    app = FastAPI(title="svc")
    instrumented_by_contrib(app)
    yield begin(app, mode)


def contrib_last(mode: str) -> Any:
    trace.set_tracer_provider(provider())
    app = begin(FastAPI(title="svc"), mode)
    instrumented_by_contrib(app)
    yield app


def contrib_without_provider_yet(mode: str) -> Any:
    app = begin(FastAPI(title="svc"), mode)
    instrumented_by_contrib(app)
    trace.set_tracer_provider(provider())
    yield app


def native(mode: str) -> Any:
    trace.set_tracer_provider(provider())
    yield begin(FastAPI(title="svc"), mode)


def native_configured(mode: str) -> Any:
    yield begin(FastAPI(title="svc", telemetry={"tracer_provider": provider(), "operation_spans": False}), mode)


def native_late(mode: str) -> Any:
    yield begin(FastAPI(title="svc"), mode)
    trace.set_tracer_provider(provider())


def native_auto_configure(mode: str) -> Any:
    os.environ |= {"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
    yield begin(FastAPI(title="svc"), mode)
    trace.get_tracer_provider().add_span_processor(provider()._active_span_processor)  # type: ignore[attr-defined]


def starlette_middleware(mode: str) -> Any:
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

    trace.set_tracer_provider(provider())
    app = begin(FastAPI(title="svc", telemetry={"tracing": False}), mode)
    app.add_middleware(OpenTelemetryMiddleware)
    yield app


def two_server_spans(mode: str) -> Any:
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

    trace.set_tracer_provider(provider())
    app = FastAPI(title="svc")
    app.add_middleware(OpenTelemetryMiddleware)
    yield begin(app, mode)


def around_the_app(mode: str) -> Any:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    trace.set_tracer_provider(provider())
    app = FastAPI(title="svc", telemetry={"tracing": False})
    yield OpenTelemetryMiddleware(begin(app, mode), exclude_spans=["send", "receive"]), app


def any_asgi_app(mode: str) -> Any:
    """Ours around theirs, as for frameworks that are not Starlette's."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    trace.set_tracer_provider(provider())
    app = FastAPI(title="svc", telemetry={"tracing": False})
    yield begin(OpenTelemetryMiddleware(app, exclude_spans=["send", "receive"]), mode, service="svc"), app


def no_server_span(mode: str) -> Any:
    trace.set_tracer_provider(provider())
    yield begin(FastAPI(title="svc", telemetry={"tracing": False}), mode)


def unsampled(mode: str) -> Any:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    trace.set_tracer_provider(provider(ALWAYS_OFF))
    yield begin(FastAPI(title="svc"), mode, record_unsampled="always")


def unsampled_unrecorded(mode: str) -> Any:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    trace.set_tracer_provider(provider(ALWAYS_OFF))
    yield begin(FastAPI(title="svc"), mode, record_unsampled="never")


def noop(mode: str) -> Any:
    trace.set_tracer_provider(trace.NoOpTracerProvider())
    yield begin(FastAPI(title="svc"), mode)


def http_client_instrumented(mode: str) -> Any:
    """A span around each model call that is not the application's own."""
    trace.set_tracer_provider(provider())
    original = llm._transport.handle_async_request
    theirs = trace.get_tracer("opentelemetry.instrumentation.httpx")

    async def traced(request: httpx2.Request) -> httpx2.Response:
        with theirs.start_as_current_span("POST", kind=trace.SpanKind.CLIENT):
            return await original(request)

    llm._transport.handle_async_request = traced  # type: ignore[method-assign]
    yield begin(FastAPI(title="svc"), mode)


def logfire(mode: str) -> Any:
    import logfire  # pyright: ignore[reportMissingImports]  # in an environment of its own
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    app = begin(FastAPI(title="svc"), mode)
    logfire.configure(
        distributed_tracing=True,
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exported)],
    )
    logfire.instrument_fastapi(app)
    yield app


def ddtrace(mode: str) -> Any:
    """Datadog's tracer and its implementation of OpenTelemetry's API; run with `ddtrace-run`."""
    yield begin(FastAPI(title="svc"), mode)


async def serve(setup: Any, mode: str) -> list[Any]:
    """Make the requests; a setup that gives two apps has the routes on the inner one."""
    found = setup(mode)
    app = next(found)
    served, inner = app if isinstance(app, tuple) else (app, app)
    routes(inner)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        next(found, None)
        yield

    inner.router.lifespan_context = lifespan
    await started(served)
    transport = httpx2.ASGITransport(app=served, raise_app_exceptions=False)
    answers = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "tenant=acme"}
        answers.append((await client.get("/chat/x", headers=headers)).json())
        for path in ("/stream", "/background", "/many", "/boom"):
            await client.get(path)
    return answers


async def started(app: Any) -> None:
    """Run an app's start-up, as a server does."""
    sent: asyncio.Queue[Any] = asyncio.Queue()
    done = asyncio.Event()

    async def receive() -> Any:
        if done.is_set():
            await asyncio.Event().wait()
        done.set()
        return {"type": "lifespan.startup"}

    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, receive, sent.put))
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    running.append(task)


running: list[Any] = []


def span_row(span: Any) -> dict[str, str]:
    """What the tests need of a span."""
    return {
        "name": span.name,
        "kind": span.kind.name,
        "scope": span.instrumentation_scope.name,
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
    }


def run(case: dict[str, Any]) -> str:
    """Run one case; its events, spans and answers as JSON."""
    os.environ.update(case["env"])
    answers = asyncio.run(serve(globals()[case["setup"]], case["mode"]))
    events = [json.loads(line) for line in writer.lines]
    return json.dumps(
        {"events": events, "spans": [span_row(span) for span in exported.get_finished_spans()], "answers": answers}
    )


def main() -> None:
    """Run each case in a child of its own: a provider can be set once in a process, and imports take the time."""
    for case in json.loads(sys.argv[1]):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                sys.stdout.write(run(case) + "\n")
                sys.stdout.flush()
            except BaseException:  # noqa: BLE001  a child must not go on as its parent
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"failed: {case}")


if __name__ == "__main__":
    main()
