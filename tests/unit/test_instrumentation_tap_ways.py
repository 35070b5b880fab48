"""The ways a call takes under httpx and httpx2: HTTP/2, proxies, mounts, redirects, hooks, threads, other loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, cast
from urllib.request import Request, urlopen

import anyio
import httpx
import httpx2
import pytest
from http2_server import http2_server
from tap_server import ANSWER, EVENTS, STREAM, tap_server
from tapping import call_of, calls_of, recording

from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall

REQUEST: dict[str, Any] = {"model": "gpt-4o", "messages": [], "stream": True}


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return cast("ModuleType", request.param)


@pytest.fixture
def server() -> Iterator[Any]:
    with tap_server() as running:
        yield running


@pytest.fixture
def events(server: Any) -> Iterator[MemoryWriter]:
    with recording(providers={server.address: "openai"}) as writer:
        yield writer


def assert_whole(call: LlmCall) -> None:
    assert (call.provider, call.status, call.stream, call.request_model) == ("openai", "ok", True, "gpt-4o")
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (1000, 50, 600)


CUT = {"x-case": "cut:7"}


def test_http2(module: ModuleType) -> None:
    with http2_server(EVENTS) as address, recording(providers={address: "openai"}) as events:
        with module.Client(http1=False, http2=True, trust_env=False) as http:
            response = http.post(f"http://{address}/v1/chat/completions", json=REQUEST)
            assert (response.http_version, response.content) == ("HTTP/2", STREAM)
        call = call_of(events)
    assert_whole(call)
    assert call.provider_request_id == "req_2"


def test_many_streams_of_one_http2_connection(module: ModuleType) -> None:
    async def ask(http: Any, address: str) -> bytes:
        async with http.stream("POST", f"http://{address}/v1/chat/completions", json=REQUEST) as response:
            return b"".join([part async for part in response.aiter_bytes()])

    async def run(address: str) -> list[bytes]:
        async with module.AsyncClient(http1=False, http2=True, trust_env=False) as http:
            return await asyncio.gather(*(ask(http, address) for _ in range(5)))

    with http2_server(EVENTS) as address, recording(providers={address: "openai"}) as events:
        assert asyncio.run(run(address)) == [STREAM] * 5
        calls = calls_of(events)
    assert len(calls) == 5
    for call in calls:
        assert_whole(call)


class _Proxy(BaseHTTPRequestHandler):
    """Forwards a POST whose request line holds a whole URL."""

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "proxy-connection")}
        self.server.seen.append(self.path)  # type: ignore[attr-defined]  # of the proxy below
        with urlopen(Request(self.path, data=sent, headers=kept)) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    log_message: Callable[..., None] = lambda *_: None


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as found:
        found.seen = []  # type: ignore[attr-defined]  # a list of what passed
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}", found.seen  # type: ignore[attr-defined]
        found.shutdown()
        thread.join()


@pytest.mark.parametrize("mounted", [False, True])
def test_a_proxy(module: ModuleType, server: Any, events: MemoryWriter, *, mounted: bool) -> None:
    with proxy() as (address, seen):
        way: dict[str, Any] = (
            {"mounts": {"http://": module.HTTPTransport(proxy=address)}} if mounted else {"proxy": address}
        )
        with module.Client(trust_env=False, **way) as http:
            assert http.post(server.url, json=REQUEST, headers=CUT).content == STREAM
        assert seen == [server.url]
    assert_whole(call_of(events))


def test_a_base_url_and_a_client_built_before(module: ModuleType, server: Any) -> None:
    http = module.Client(base_url=f"http://{server.address}/v1", trust_env=False)
    with recording(providers={server.address: "openai"}) as events, http:
        assert http.post("/chat/completions", json=REQUEST, headers=CUT).content == STREAM
        assert_whole(call_of(events))


def test_a_custom_transport_sees_the_request_and_is_seen(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    class Counting(module.HTTPTransport):  # type: ignore[name-defined, misc]  # of whichever module it is
        requests = 0

        def handle_request(self, request: Any) -> Any:
            Counting.requests += 1
            return super().handle_request(request)

    with module.Client(transport=Counting()) as http:
        http.post(server.url, json=REQUEST, headers=CUT)
    assert Counting.requests == 1
    assert_whole(call_of(events))


def test_a_redirect_is_one_row(module: ModuleType, events: MemoryWriter) -> None:
    def answer(request: Any) -> Any:
        if request.url.host == "api.openai.com":
            return module.Response(307, headers={"location": "https://eu.api.openai.com/v1/chat/completions"})
        return module.Response(200, json=ANSWER)

    with module.Client(transport=module.MockTransport(answer), follow_redirects=True) as http:
        http.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})
    assert (call_of(events).http_status, call_of(events).output_tokens) == (200, 50)


def test_an_auth_flow_of_two_requests_is_one_row(module: ModuleType, events: MemoryWriter) -> None:
    class Renewing(module.Auth):  # type: ignore[name-defined, misc]  # of whichever module it is
        def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            response = yield request
            if response.status_code == 401:
                request.headers["authorization"] = "Bearer new"
                yield request

    def answer(request: Any) -> Any:
        return module.Response(200, json=ANSWER) if "authorization" in request.headers else module.Response(401)

    with module.Client(transport=module.MockTransport(answer), auth=Renewing()) as http:
        http.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})
    assert (call_of(events).http_status, call_of(events).status) == (200, "ok")


def test_hooks_that_read_and_that_raise(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    seen: list[int] = []

    def read(response: Any) -> None:
        seen.append(len(response.read()))

    def refuse(response: Any) -> None:
        response.raise_for_status()

    with module.Client(event_hooks={"response": [read]}, trust_env=False) as http:
        http.post(server.url, json=REQUEST, headers=CUT)
    assert seen == [len(STREAM)]
    assert_whole(call_of(events))
    events.lines.clear()
    with (
        module.Client(event_hooks={"response": [refuse]}, trust_env=False) as http,
        pytest.raises(module.HTTPStatusError),
    ):
        http.post(server.url, json=REQUEST, headers={"x-case": "refused:429"})
    assert (call_of(events).status, call_of(events).error_type) == ("error", "HTTPStatusError")


def test_a_body_that_is_itself_a_stream(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    with module.Client(trust_env=False) as http:
        http.post(server.url, content=iter([b'{"model":', b'"gpt-4o"}']), headers=CUT)
    call = call_of(events)
    assert (call.request_model, call.response_model, call.output_tokens) == ("", "gpt-4o-2024-08-06", 50)


def test_one_pool_shared_by_threads(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    with module.Client(trust_env=False) as http, ThreadPoolExecutor(8) as pool:
        ask = lambda _: http.post(server.url, json=REQUEST, headers=CUT).content  # noqa: E731  handed to eight threads
        assert set(pool.map(ask, range(40))) == {STREAM}
    calls = calls_of(events)
    assert len({call.event_id for call in calls}) == 40
    for call in calls:
        assert_whole(call)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_either_event_loop(module: ModuleType, server: Any, events: MemoryWriter, backend: str) -> None:
    async def run() -> bytes:
        async with (
            module.AsyncClient(trust_env=False) as http,
            http.stream("POST", server.url, json=REQUEST, headers=CUT) as response,
        ):
            return b"".join([part async for part in response.aiter_bytes()])

    assert anyio.run(run, backend=backend) == STREAM
    assert_whole(call_of(events))


def test_a_call_cancelled_under_trio_is_partial(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    async def run() -> None:
        async with module.AsyncClient(trust_env=False) as http:
            with anyio.move_on_after(0.1):
                await http.post(server.url, json=REQUEST, headers={"x-case": "hangs"})

    anyio.run(run, backend="trio")
    assert (call_of(events).status, call_of(events).error_type) == ("partial", "Cancelled")


async def _aiter(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_an_async_body_that_is_itself_a_stream(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    async def run() -> None:
        async with module.AsyncClient(trust_env=False) as http:
            await http.post(server.url, content=_aiter([b'{"model":', b'"gpt-4o"}']), headers=CUT)

    asyncio.run(run())
    assert call_of(events).output_tokens == 50


@pytest.mark.parametrize("case", ["hangs", "waits"])
def test_a_timeout_before_or_inside_the_answer(
    module: ModuleType, server: Any, events: MemoryWriter, case: str
) -> None:
    with module.Client(trust_env=False, timeout=0.1) as http, pytest.raises(module.ReadTimeout):
        http.post(server.url, json=REQUEST, headers={"x-case": case})
    assert (call_of(events).status, call_of(events).error_type) == ("error", "ReadTimeout")


def test_a_connection_that_breaks_inside_the_answer(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    with module.Client(trust_env=False) as http, pytest.raises(module.RemoteProtocolError):
        http.post(server.url, json=REQUEST, headers={"x-case": "breaks"})
    assert (call_of(events).status, call_of(events).error_type) == ("error", "RemoteProtocolError")


def test_an_async_stream_that_is_left_by_break(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    async def run() -> None:
        async with (
            module.AsyncClient(trust_env=False) as http,
            http.stream("POST", server.url, json=REQUEST, headers={"x-case": "waits"}) as response,
        ):
            async for _ in response.aiter_bytes():
                break

    asyncio.run(run())
    assert (call_of(events).status, call_of(events).response_model) == ("partial", "gpt-4o-2024-08-06")


def test_a_stream_cancelled_while_it_is_read(module: ModuleType, server: Any, events: MemoryWriter) -> None:
    async def read(http: Any) -> None:
        async with http.stream("POST", server.url, json=REQUEST, headers={"x-case": "waits"}) as response:
            await response.aread()

    async def run() -> None:
        async with module.AsyncClient(trust_env=False) as http:
            task = asyncio.ensure_future(read(http))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert (call_of(events).status, call_of(events).error_type) == ("partial", "CancelledError")
