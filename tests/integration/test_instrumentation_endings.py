"""Every ending of a model call inside a served request is one row, by the real openai SDK; the request sums them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from serving import free_port
from tap_server import tap_server

from tollmeter.cli.sample import server as sample
from tollmeter.cli.sample import wire
from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode

COST = Decimal("0.00225")
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
TOLD = {"stream": True, "stream_options": {"include_usage": True}}
Work = Callable[[], Awaitable[object]]


class Scene:
    """A provider, and requests of an instrumented service that call it."""

    def __init__(self, provider: Any, address: str) -> None:
        self.provider = provider
        self.writer = MemoryWriter()
        self.settings: dict[str, Any] = {
            "writer": self.writer, "mode": "lean", "service": "svc", "estimate_usage": False,
            "providers": {address: "openai"},
        }  # fmt: skip
        arguments: dict[str, Any] = {"base_url": f"http://{address}/v1", "api_key": "k", "max_retries": 0}
        self.sync = openai.OpenAI(**arguments)
        self.arguments = arguments
        self.clients: list[openai.AsyncOpenAI] = []

    def client(self, **more: Any) -> openai.AsyncOpenAI:
        """Of the event loop that is running, until the request ends."""
        self.clients.append(openai.AsyncOpenAI(**self.arguments | more))
        return self.clients[-1]

    async def close(self) -> None:
        """Close the clients, when what the work has dropped is gone."""
        gc.collect()
        for client in self.clients:
            await client.close()
        self.sync.close()

    def serve(self, work: Work) -> None:
        """One request, whose handler does some work."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await work()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            await self.close()

        async def nothing(*_: Any) -> Any:
            return None

        scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
        asyncio.run(instrument(app, **self.settings)(scope, nothing, nothing))

    def rows(self) -> tuple[list[LlmCall], Request]:
        gc.collect()
        events = [decode(line) for line in self.writer.lines]
        calls = [event for event in events if isinstance(event, LlmCall)]
        (request,) = (event for event in events if isinstance(event, Request))
        assert all(call.request_id == request.request_id != "" for call in calls)
        assert all(call.trace_id == request.trace_id for call in calls)
        return calls, request

    def row(self) -> tuple[LlmCall, Request]:
        (call,), request = self.rows()
        return call, request


@pytest.fixture
def scene() -> Iterator[Scene]:
    active._default.clear()
    with tap_server() as provider:
        yield Scene(provider, provider.address)
    active._default.clear()


def case(name: str) -> dict[str, Any]:
    """What the provider shall do."""
    return {"extra_headers": {"x-case": name}}


def billed(call: LlmCall) -> tuple[int | None, int | None, Decimal | None]:
    return call.input_tokens, call.output_tokens, call.cost_usd


def summed(request: Request) -> tuple[int, int, int, Decimal | None]:
    return request.llm_calls, request.input_tokens, request.output_tokens, request.cost_usd


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("threaded", [False, True])
def test_completed(scene: Scene, streamed: bool, threaded: bool) -> None:
    async def unthreaded() -> None:
        answer = await scene.client().chat.completions.create(**ASK, **(case("cut:50") | TOLD if streamed else {}))
        if streamed:
            async for _ in answer:
                pass

    def sync() -> None:
        answer = scene.sync.chat.completions.create(**ASK, **(case("cut:50") | TOLD if streamed else {}))
        for _ in answer if streamed else ():
            pass

    scene.serve((lambda: asyncio.to_thread(sync)) if threaded else unthreaded)
    call, request = scene.row()
    assert (call.status, call.stream, call.finish_reason, call.attempt) == ("ok", streamed, "stop", 1)
    assert billed(call) == (1000, 50, COST)
    assert summed(request) == (1, 1000, 50, COST)


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_before_the_first_byte(scene: Scene, status: int) -> None:
    async def work() -> None:
        with pytest.raises(openai.APIStatusError):
            await scene.client().chat.completions.create(**ASK, **case(f"refused:{status}"))

    scene.serve(work)
    call, request = scene.row()
    assert (call.status, call.error_type, call.http_status) == ("error", "rate_limit_exceeded", status)
    assert (*billed(call), call.usage_source, call.cost_status) == (None, None, None, "missing", "unpriced")
    assert summed(request) == (1, 0, 0, None)


def test_nobody_answers(scene: Scene) -> None:
    async def work() -> None:
        client = scene.client(base_url=f"http://127.0.0.1:{free_port()}/v1")
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(**ASK)

    scene.serve(work)
    call, _ = scene.row()
    assert (call.status, call.error_type, call.http_status) == ("error", "ConnectError", None)


def test_an_error_amid_the_stream(scene: Scene) -> None:
    async def work() -> None:
        stream = await scene.client().chat.completions.create(**ASK, **case("breaks") | TOLD)
        with pytest.raises((openai.APIError, httpx2.TransportError)):
            async for _ in stream:
                pass

    scene.serve(work)
    call, _ = scene.row()
    assert (call.status, call.http_status, call.usage_source, call.cost_usd) == ("error", 200, "missing", None)
    assert call.error_type == "RemoteProtocolError"
    assert call.ttft_ms is not None


def leave(stream: Any, how: str) -> None:
    if how == "never closed":
        next(iter(stream))
    elif how != "never iterated":
        for _ in stream:
            break
    if how == "break and close":
        stream.close()


async def leave_async(stream: Any, how: str) -> None:
    if how == "never closed":
        await anext(aiter(stream))
    elif how != "never iterated":
        async for _ in stream:
            break
    if how == "break and close":
        await stream.close()


@pytest.mark.parametrize("how", ["break", "break and close", "never iterated", "never closed"])
@pytest.mark.parametrize("threaded", [False, True])
def test_a_stream_that_is_left(scene: Scene, how: str, threaded: bool) -> None:
    asked = ASK | case("waits") | TOLD

    async def unthreaded() -> None:
        await leave_async(await scene.client().chat.completions.create(**asked), how)

    def sync() -> None:
        leave(scene.sync.chat.completions.create(**asked), how)

    scene.serve((lambda: asyncio.to_thread(sync)) if threaded else unthreaded)
    scene.provider.go_on.set()
    call, _ = scene.row()
    assert (call.status, call.error_type, call.usage_source, call.cost_usd) == ("partial", "", "missing", None)
    assert (call.http_status, call.stream) == (200, True)


def test_a_task_that_is_cancelled(scene: Scene) -> None:
    async def stream() -> None:
        async for _ in await scene.client().chat.completions.create(**ASK, **case("waits") | TOLD):
            pass

    async def work() -> None:
        task = asyncio.create_task(stream())
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    scene.serve(work)
    call, _ = scene.row()
    assert (call.status, call.error_type, call.usage_source) == ("partial", "CancelledError", "missing")


@pytest.mark.parametrize("streamed", [False, True])
def test_time_runs_out(scene: Scene, streamed: bool) -> None:
    async def ask() -> None:
        more = case("waits") | TOLD if streamed else case("hangs")
        client = scene.client()
        async with asyncio.timeout(0.4):
            async for _ in await client.chat.completions.create(**ASK, **more):
                pass

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await ask()

    scene.serve(work)
    call, _ = scene.row()
    assert (call.status, call.error_type, call.usage_source) == ("partial", "CancelledError", "missing")
    assert 200 < (call.latency_ms or 0.0) < 5000


@pytest.mark.parametrize("threaded", [False, True])
def test_the_clients_own_timeout(scene: Scene, threaded: bool) -> None:
    async def unthreaded() -> None:
        with pytest.raises(openai.APITimeoutError):
            await scene.client(timeout=0.2).chat.completions.create(**ASK, **case("hangs"))

    def sync() -> None:
        with pytest.raises(openai.APITimeoutError):
            scene.sync.with_options(timeout=0.2).chat.completions.create(**ASK, **case("hangs"))

    scene.serve((lambda: asyncio.to_thread(sync)) if threaded else unthreaded)
    call, _ = scene.row()
    assert (call.status, call.error_type, call.http_status) == ("error", "ReadTimeout", None)


def test_each_try_is_a_row_and_only_the_one_that_was_billed_has_a_price() -> None:
    active._default.clear()
    with sample.running(sample.UPSTREAM) as upstream:
        scene = Scene(upstream, upstream.url.removeprefix("http://"))
        headers = {wire.INPUT_TOKENS: "1000", wire.OUTPUT_TOKENS: "50", wire.CACHED_TOKENS: "600",
                   wire.FAIL_STATUS: "429", wire.FAIL_ATTEMPTS: "2"}  # fmt: skip

        async def work() -> None:
            await scene.client(max_retries=3).chat.completions.create(**ASK, extra_headers=headers)

        scene.serve(work)
    calls, request = scene.rows()
    assert [(call.attempt, call.status, call.http_status) for call in calls] == [
        (1, "error", 429), (2, "error", 429), (3, "ok", 200),
    ]  # fmt: skip
    assert [billed(call) for call in calls] == [(None, None, None), (None, None, None), (1000, 50, COST)]
    assert summed(request) == (3, 1000, 50, COST)
    active._default.clear()


def test_calls_of_other_threads_belong_to_the_request_whose_context_they_carry(scene: Scene) -> None:
    def sync() -> object:
        return scene.sync.chat.completions.create(**ASK)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            await asyncio.gather(
                asyncio.to_thread(sync),
                loop.run_in_executor(pool, copy_context().run, sync),
                asyncio.create_task(scene.client().chat.completions.create(**ASK)),
            )
        thread = threading.Thread(target=copy_context().run, args=(sync,))
        thread.start()
        await asyncio.to_thread(thread.join)

    scene.serve(work)
    calls, request = scene.rows()
    assert [billed(call) for call in calls] == [(1000, 50, COST)] * 4
    assert summed(request) == (4, 4000, 200, 4 * COST)


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An app under uvicorn, in a thread of its own; yields its URL."""
    port = free_port()
    served = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not served.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        served.should_exit = True
        thread.join(10)


def test_the_client_of_the_service_leaves_while_the_provider_speaks(scene: Scene) -> None:
    app = FastAPI()

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            stream = await scene.client().chat.completions.create(**ASK, **case("waits") | TOLD)
            async for chunk in stream:
                yield chunk.model_dump_json().encode()

        return StreamingResponse(parts())

    instrument(app, **scene.settings)
    with running(app) as url:
        with httpx2.Client() as http, http.stream("GET", f"{url}/chat") as response:
            next(response.iter_raw())
        deadline = time.monotonic() + 10
        while len(scene.writer.lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            gc.collect()
        call, request = scene.row()
    assert (call.status, call.usage_source, call.cost_usd, call.stream) == ("partial", "missing", None, True)
    assert call.route == "/chat"
    assert (request.client_disconnected, request.route, request.status_code) == (True, "/chat", 200)
