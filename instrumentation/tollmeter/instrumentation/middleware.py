"""The ASGI middleware: one `request` event per exchange, appended before the client can have the whole answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation import websocket
from tollmeter.instrumentation.context import RequestContext, enter, leave
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.outcome import Outcome, is_gone, name_of
from tollmeter.instrumentation.propagation.joined import joined
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.model.events import utc_now
from tollmeter.model.ids import new_trace_id
from tollmeter.model.names import HEADER_REQUEST_ID, METHOD_WEBSOCKET

if TYPE_CHECKING:
    from tollmeter.instrumentation.lambda_sandbox import Deadline

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "tollmeter"
_REQUEST_ID: Final = HEADER_REQUEST_ID.encode()
_SERVER_ERROR: Final = 500
_BODYLESS: Final = frozenset({204, 304})


class Exchange:
    """One request in flight: watches its messages and writes its event exactly once."""

    __slots__ = ("_receive", "_send", "context", "deadline", "outcome", "written")

    def __init__(self, context: RequestContext, outcome: Outcome, receive: Receive, send: Send) -> None:
        self.context = context
        self.outcome = outcome
        self.written = False
        self.deadline: Deadline | None = None
        self._receive = receive
        self._send = send

    def send(self, message: Message) -> Awaitable[None]:
        """Watch a message, then hand on; not a coroutine itself, which would cost another frame per chunk."""
        try:
            self._watch(message)
        except Exception as error:  # noqa: BLE001  counted; the response goes on
            losses.fault("watch response", error)
        return self._send(message)

    async def receive(self) -> Message:
        """Hand on a message and notice a client that leaves."""
        message = await self._receive()
        if not self.written:
            if message["type"] == "http.disconnect":
                self.outcome.client_disconnected = True
            elif message["type"] == "websocket.disconnect":
                websocket.watch_disconnect(self.context, self.outcome, message)
        return message

    def _watch(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self._watch_body(message)
        elif kind == "http.response.start":
            self._watch_start(message)
        elif kind.startswith("websocket."):
            self._watch_websocket(kind, message)

    def _watch_websocket(self, kind: str, message: Message) -> None:
        if kind == "websocket.http.response.start":  # a refusal with a body of its own
            self._watch_start(message)
        elif kind == "websocket.http.response.body":
            self._watch_body(message)
        elif websocket.watch_sent(self.context, self.outcome, message):
            self.write()

    def _watch_start(self, message: Message) -> None:
        outcome = self.outcome
        outcome.status_code = message["status"]
        headers = list(message.get("headers", ()))
        present = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-length":
                outcome.content_length = int(value)
            elif lowered == _REQUEST_ID:
                present = True
        if not present:
            headers.append((_REQUEST_ID, self.context.request_id.encode()))
            message["headers"] = headers
        if message["status"] >= _SERVER_ERROR:
            # Starlette answers inside its `except`, so the exception is still the current one here.
            outcome.error_type = name_of(sys.exception()) or str(message["status"])
        if outcome.method == "HEAD" or message["status"] in _BODYLESS:
            self.write()

    def _watch_body(self, message: Message) -> None:
        outcome = self.outcome
        if outcome.ttfb_ms is None:
            outcome.ttfb_ms = self.context.elapsed_ms()
        outcome.response_bytes += len(message.get("body", b""))
        length = outcome.content_length
        if not message.get("more_body", False) or (length is not None and outcome.response_bytes >= length):
            self.write()

    @guarded(default=None)
    def fail(self, error: BaseException) -> None:
        """The app raised: nobody below answers any more."""
        outcome = self.outcome
        if is_gone(error):
            if outcome.method == METHOD_WEBSOCKET:
                websocket.watch_error(self.context, outcome, error)
            else:
                outcome.client_disconnected = True
            return
        if isinstance(error, asyncio.CancelledError):
            outcome.client_disconnected = True
        elif outcome.status_code is None:
            outcome.status_code = _SERVER_ERROR
        outcome.error_type = outcome.error_type or name_of(error)

    def write(self) -> None:
        """Write the event, once."""
        if not self.written:
            self.written = True
            if self.deadline is not None:
                self.deadline.cancel()
            self.context.recorder.write_request(self.context, self.outcome)


class Middleware:
    """Wraps an ASGI app; lifespan end closes the spool segment."""

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self.app = app
        self.recorder = recorder
        self._excluded = frozenset(recorder.settings.exclude_routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        exchange = self._begin(scope, receive, send)
        if exchange is None:
            await self.app(scope, receive, self._closing(send) if scope["type"] == "lifespan" else send)
            return
        entered = enter(exchange.context)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            exchange.write()
            leave(entered)

    @guarded(default=None)
    def _begin(self, scope: Scope, receive: Receive, send: Send) -> Exchange | None:
        kind = scope["type"]
        if kind not in ("http", "websocket") or SCOPE_KEY in scope or scope["path"] in self._excluded:
            return None
        sent = scope["headers"]
        headers = dict(sent)
        if len(headers) < len(sent):
            headers |= joined(sent)
        exchange = self._open(scope, headers, receive, send)
        if exchange is not None:
            scope[SCOPE_KEY] = exchange.context
            scope.setdefault("state", {})["request_id"] = exchange.context.request_id
        return exchange

    def _open(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> Exchange | None:
        context = RequestContext(self.recorder, scope, utc_now())
        context.attribution = self.recorder.attributor.read(headers)
        self.recorder.tracing.begin(context, headers)
        context.request_id = sane_request_id(headers.get(_REQUEST_ID)) or new_trace_id()
        method = scope["method"] if scope["type"] == "http" else METHOD_WEBSOCKET
        return Exchange(context, Outcome(method), receive, send)

    def _closing(self, send: Send) -> Send:
        def watch(message: Message) -> Awaitable[None]:
            if message["type"] == "lifespan.startup.complete":
                self.recorder.tracing.started(self.recorder)
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                # uvicorn re-raises SIGTERM after its graceful stop, so atexit would not run.
                self.recorder.close()
            return send(message)

        return watch
