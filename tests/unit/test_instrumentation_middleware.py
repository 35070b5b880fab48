"""The middleware over hand-made ASGI apps: when the event is written, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tollmeter.instrumentation import annotate, current_request, instrument, step
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import Request, decode

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Client:
    """Calls an app as a server would and notes how many events existed after each message."""

    def __init__(
        self, app: Any, writer: MemoryWriter, *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> None:
        self.app = app
        self.writer = writer
        self.sent: list[tuple[dict[str, Any], int]] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": "/x",
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }

    async def _send(self, message: Any) -> None:
        self.sent.append((dict(message), len(self.writer.lines)))

    async def _receive(self) -> Any:
        return {"type": "http.disconnect"}

    def run(self) -> Request:
        asyncio.run(self.app(self.scope, self._receive, self._send))
        return self.event()

    def event(self) -> Request:
        (event,) = (decode(line) for line in self.writer.lines)
        assert isinstance(event, Request)
        return event


def answering(*messages: dict[str, Any], before: Callable[[], None] = lambda: None) -> tuple[Any, MemoryWriter]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        before()
        for message in messages:
            await send(dict(message))

    writer = MemoryWriter()
    return instrument(app, writer=writer, mode="lean", service="svc"), writer


START = {"type": "http.response.start", "status": 200, "headers": []}


def body(text: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


def test_the_event_is_written_before_the_last_message_is_handed_to_the_server() -> None:
    client = Client(*answering(START, body(b"a", more=True), body(b"b")))
    event = client.run()
    assert [count for _, count in client.sent] == [0, 0, 1]
    assert (event.status_code, event.response_bytes, event.client_disconnected) == (200, 2, False)


def test_the_byte_that_reaches_content_length_completes_the_answer() -> None:
    start = START | {"headers": [(b"content-length", b"2")]}
    client = Client(*answering(start, body(b"ab", more=True), body(b"")))
    client.run()
    assert [count for _, count in client.sent] == [0, 1, 1]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_body_is_complete_at_its_start(method: str, status: int) -> None:
    client = Client(*answering(START | {"status": status}, body(b"")), method=method)
    event = client.run()
    assert [count for _, count in client.sent] == [1, 1]
    assert (event.method, event.status_code) == (method, status)


def test_request_id_is_taken_when_sane_and_returned() -> None:
    client = Client(*answering(START, body(b"")), headers={"x-request-id": "order-17"})
    assert client.run().request_id == "order-17"
    assert (b"x-request-id", b"order-17") in client.sent[0][0]["headers"]
    assert client.scope["state"]["request_id"] == "order-17"


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "é", ""])
def test_request_id_is_made_when_it_is_not_sane(bad: str) -> None:
    client = Client(*answering(START, body(b"")), headers={"x-request-id": bad})
    made = client.run().request_id
    assert made != bad
    assert len(made) == 32


def test_an_app_that_sets_its_own_request_id_keeps_it() -> None:
    start = START | {"headers": [(b"X-Request-ID", b"own")]}
    client = Client(*answering(start, body(b"")))
    client.run()
    assert client.sent[0][0]["headers"] == [(b"X-Request-ID", b"own")]


def test_traceparent_is_continued() -> None:
    client = Client(*answering(START, body(b"")), headers={"traceparent": TRACEPARENT.decode()})
    event = client.run()
    assert event.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert event.parent_span_id == "00f067aa0ba902b7"
    assert len(event.span_id) == 16


@pytest.mark.parametrize(
    "bad",
    [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "rubbish",
    ],
)
def test_a_bad_traceparent_starts_a_trace_of_its_own(bad: str) -> None:
    event = Client(*answering(START, body(b"")), headers={"traceparent": bad}).run()
    assert event.parent_span_id == ""
    assert event.trace_id != "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(event.trace_id) == 32


def test_an_app_that_raises_is_one_event_with_the_error() -> None:
    def boom() -> None:
        raise KeyError("x")

    client = Client(*answering(before=boom))
    with pytest.raises(KeyError):
        client.run()
    event = client.event()
    assert (event.status_code, event.error_type) == (500, "KeyError")


def test_annotations_and_nested_steps_land_on_the_event() -> None:
    def work() -> None:
        annotate(user_id=7, tags={"plan": "pro"}, nonsense=1)
        with step("retrieve"), step("embed"):
            pass
        with pytest.raises(ValueError, match="x"), step("rank"):
            raise ValueError("x")

    losses.take()
    event = Client(*answering(START, body(b""), before=work)).run()
    assert (event.user_id, event.tags) == ("7", {"plan": "pro"})
    by_name = {found.name: found for found in event.steps}
    assert by_name["embed"].parent_span_id == by_name["retrieve"].span_id
    assert by_name["retrieve"].parent_span_id == event.span_id
    assert by_name["rank"].error_type == "ValueError"
    assert event.losses == {"annotate_unknown_field": 1}


def test_steps_are_capped_and_the_rest_is_counted() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            with step("s"):
                pass
        await send(dict(START))
        await send(body(b""))

    writer = MemoryWriter()
    event = Client(instrument(app, writer=writer, mode="lean", max_steps=3), writer).run()
    assert (len(event.steps), event.steps_dropped) == (3, 2)


def test_a_cancelled_request_is_recorded_as_disconnected() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(dict(START))
        await send(body(b"a", more=True))
        await asyncio.sleep(60)

    async def serve(client: Client) -> None:
        task = asyncio.ensure_future(client.app(client.scope, client._receive, client._send))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    writer = MemoryWriter()
    client = Client(instrument(app, writer=writer, mode="lean"), writer)
    asyncio.run(serve(client))
    event = client.event()
    assert (event.client_disconnected, event.error_type, event.status_code) == (True, "CancelledError", 200)


def test_attribution_from_headers_claims_and_baggage() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(dict(START))
        await send(body(b""))

    writer = MemoryWriter()
    wrapped = instrument(
        app,
        writer=writer,
        mode="lean",
        team="search",
        headers={"tenant_id": "X-Tenant"},
        claims={"user_id": "sub"},
        baggage={"session_id": "session"},
        tags={"plan": "pro"},
    )
    # {"alg":"none"} . {"sub":"alice"} . (signature)
    token = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.x"
    headers = {"x-tenant": "acme", "authorization": token, "baggage": "a=1,session=s%2042;ttl=3"}
    event = Client(wrapped, writer, headers=headers).run()
    found = (event.team, event.tenant_id, event.user_id, event.session_id, event.tags)
    assert found == ("search", "acme", "alice", "s 42", {"plan": "pro"})


@pytest.mark.parametrize("token", ["Bearer x.y", "Bearer a.!!!.c", "Basic YTpi", "Bearer a.W10.c"])
def test_a_token_that_is_no_jwt_is_ignored(token: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(dict(START))
        await send(body(b""))

    writer = MemoryWriter()
    wrapped = instrument(app, writer=writer, mode="lean", claims={"user_id": "sub"})
    assert Client(wrapped, writer, headers={"authorization": token}).run().user_id == ""


def test_a_bad_setting_leaves_the_app_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "done"})

    assert instrument(app, mode="fast") is app
    assert "mode='fast' is not allowed: expected one of auto, lean, otel" in caplog.text


def test_excluded_routes_are_served_and_not_recorded() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert current_request() is None
        await send(dict(START))
        await send(body(b""))

    writer = MemoryWriter()
    client = Client(instrument(app, writer=writer, mode="lean", exclude_routes=("/x",)), writer)
    asyncio.run(client.app(client.scope, client._receive, client._send))
    assert writer.lines == []
    assert len(client.sent) == 2


def test_a_writer_that_fails_is_felt_by_nobody_and_counted() -> None:
    class Broken(MemoryWriter):
        def append(self, line: bytes) -> bool:
            raise OSError(28, "No space left on device")

    losses.take()
    writer = Broken()
    app, _ = answering(START, body(b"ok"))
    app.recorder.writer = writer
    client = Client(app, writer)
    asyncio.run(client.app(client.scope, client._receive, client._send))
    assert [message.get("body") for message, _ in client.sent] == [None, b"ok"]
    assert losses.take() == {"internal:write_request:OSError": 1}


def test_a_reader_that_is_gone_is_no_error_of_the_app() -> None:
    gone = type("ClientDisconnect", (Exception,), {})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(dict(START))
        await send(body(b"a", more=True))
        raise gone

    writer = MemoryWriter()
    client = Client(instrument(app, writer=writer, mode="lean", service="svc"), writer)
    with pytest.raises(gone):
        client.run()
    event = client.event()
    assert (event.client_disconnected, event.error_type, event.status_code, event.response_bytes) == (True, "", 200, 1)


class Socket(Client):
    """A WebSocket whose client sends nothing but its end."""

    def __init__(self, app: Any, writer: MemoryWriter, *, code: int | None = 1000) -> None:
        super().__init__(app, writer)
        del self.scope["method"]
        self.scope["type"] = "websocket"
        self.code = code

    async def _receive(self) -> Any:
        return {"type": "websocket.disconnect"} | ({} if self.code is None else {"code": self.code})


def talking(*messages: dict[str, Any], raising: Callable[[int], Exception] | None = None) -> tuple[Any, MemoryWriter]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(dict(message))
        gone = await receive()
        if raising is not None:
            raise raising(gone.get("code", 1005))

    writer = MemoryWriter()
    return instrument(app, writer=writer, mode="lean", service="svc"), writer


ACCEPT = {"type": "websocket.accept"}


@pytest.mark.parametrize(
    ("code", "told", "left"), [(1000, "1000", False), (None, "1005", False), (1001, "1001", True), (1006, "1006", True)]
)
def test_a_websocket_tells_how_it_was_closed(code: int | None, told: str, left: bool) -> None:
    messages = (ACCEPT, {"type": "websocket.send", "text": "größe"}, {"type": "websocket.send", "bytes": b"ab"})
    event = Socket(*talking(*messages), code=code).run()
    assert (event.tags, event.client_disconnected) == ({"close_code": told}, left)
    assert (event.method, event.status_code, event.response_bytes, event.error_type) == ("WEBSOCKET", 101, 9, "")


@pytest.mark.parametrize(("name", "error"), [("WebSocketDisconnect", ""), ("KeyError", "KeyError")])
def test_an_app_that_lets_the_clients_end_escape_has_not_failed(name: str, error: str) -> None:
    kind = type(name, (Exception,), {})
    client = Socket(*talking(ACCEPT, raising=kind))
    with pytest.raises(kind):
        client.run()
    assert client.event().error_type == error


@pytest.mark.parametrize(("code", "error"), [(1000, ""), (4000, ""), (1011, "1011"), (1008, "1008")])
def test_the_event_of_a_websocket_the_app_closes_is_written_before_the_close(code: int, error: str) -> None:
    client = Socket(*talking(ACCEPT, {"type": "websocket.close", "code": code}), code=1006)
    event = client.run()
    assert [count for _, count in client.sent] == [0, 1]
    assert (event.tags["close_code"], event.error_type, event.client_disconnected) == (str(code), error, False)


def test_a_refusal_with_a_body_has_its_status() -> None:
    start = {"type": "websocket.http.response.start", "status": 401, "headers": []}
    event = Socket(*talking(start, {"type": "websocket.http.response.body", "body": b"no"})).run()
    assert (event.status_code, event.response_bytes, event.method) == (401, 2, "WEBSOCKET")


def test_an_app_inside_of_an_instrumented_app_is_not_a_second_row() -> None:
    inner, writer = answering(START, body(b""))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    wrapped = instrument(outer, writer=writer, mode="lean", service="outer")
    assert instrument(wrapped) is wrapped
    event = Client(wrapped, writer).run()
    assert event.service == "outer"


def test_an_app_called_in_the_process_with_a_scope_of_its_own_is_a_row_and_leaves_the_step_as_it_was() -> None:
    inner, writer = answering(START, body(b""))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        with step("ask"):
            await inner({k: v for k, v in scope.items() if k != "tollmeter"}, receive, lambda _: asyncio.sleep(0))
            with step("after"):
                pass
        for message in (START, body(b"")):
            await send(dict(message))

    wrapped = instrument(outer, writer=writer, mode="lean", service="outer")
    client = Client(wrapped, writer)
    asyncio.run(wrapped(client.scope, client._receive, client._send))
    _, event = (decode(line) for line in writer.lines)
    assert isinstance(event, Request)
    after, ask = event.steps
    assert after.parent_span_id == ask.span_id
