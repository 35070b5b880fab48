"""The ASGI middleware: one `request` event per exchange, appended before the client can have the whole answer."""

from __future__ import annotations

import asyncio
import sys
import time
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
_REQUEST_ID_LENGTH: Final = len(_REQUEST_ID)
_CONTENT_LENGTH: Final = b"content-length"
_CONTENT_LENGTH_LENGTH: Final = len(_CONTENT_LENGTH)
_SERVER_ERROR: Final = 500
_BODYLESS: Final = frozenset({204, 304})
# A WebSocket that is refused with a body of its own has its messages too.
_STARTS: Final = ("http.response.start", "websocket.http.response.start")
_BODIES: Final = ("http.response.body", "websocket.http.response.body")


class Exchange(Outcome):
    """One request in flight: watches its messages, is their outcome, and writes its event exactly once."""

    __slots__ = ("_receive", "_send", "context", "deadline", "written")

    def __init__(self, context: RequestContext, method: str, receive: Receive, send: Send) -> None:
        self.method = method
        self.status_code = None
        self.ttfb_ms = None
        self.response_bytes = 0
        self.client_disconnected = False
        self.error_type = ""
        self.content_length = None
        self.context = context
        self.written = False
        self.deadline: Deadline | None = None
        self._receive = receive
        self._send = send

    @property
    def outcome(self) -> Outcome:
        """What has been seen so far."""
        return self

    def send(self, message: Message) -> Awaitable[None]:
        """Watch a message, then hand on; no coroutine and in one piece, since every chunk pays for each frame."""
        try:
            kind = message["type"]
            if kind in _BODIES:
                if self.ttfb_ms is None:
                    self.ttfb_ms = (time.perf_counter_ns() - self.context.started) / 1e6
                self.response_bytes += len(message.get("body", b""))
                length = self.content_length
                if not message.get("more_body", False) or (length is not None and self.response_bytes >= length):
                    self.write()
            elif kind in _STARTS:
                self._watch_start(message)
            elif kind.startswith("websocket.") and websocket.watch_sent(self.context, self, message):
                self.write()
        except Exception as error:  # noqa: BLE001  counted; the response goes on
            losses.fault("watch response", error)
        return self._send(message)

    async def receive(self) -> Message:
        """Hand on a message and notice a client that leaves."""
        message = await self._receive()
        if not self.written:
            if message["type"] == "http.disconnect":
                self.client_disconnected = True
            elif message["type"] == "websocket.disconnect":
                websocket.watch_disconnect(self.context, self, message)
        return message

    def _watch_start(self, message: Message) -> None:
        self.status_code = status = message["status"]
        headers = list(message.get("headers", ()))
        present = False
        for name, value in headers:
            length = len(name)  # most names need no closer look
            if length == _CONTENT_LENGTH_LENGTH:
                if name.lower() == _CONTENT_LENGTH:
                    self.content_length = int(value)
            elif length == _REQUEST_ID_LENGTH and name.lower() == _REQUEST_ID:
                present = True
        if not present:
            headers.append((_REQUEST_ID, self.context.request_id.encode()))
            message["headers"] = headers
        if status >= _SERVER_ERROR:
            # Starlette answers inside its `except`, so the exception is still the current one here.
            self.error_type = name_of(sys.exception()) or str(status)
        if self.method == "HEAD" or status in _BODYLESS:
            self.write()

    @guarded(default=None)
    def fail(self, error: BaseException) -> None:
        """The app raised: nobody below answers any more."""
        if is_gone(error):
            if self.method == METHOD_WEBSOCKET:
                websocket.watch_error(self.context, self, error)
            else:
                self.client_disconnected = True
            return
        if isinstance(error, asyncio.CancelledError):
            self.client_disconnected = True
        elif self.status_code is None:
            self.status_code = _SERVER_ERROR
        self.error_type = self.error_type or name_of(error)

    def write(self) -> None:
        """Write the event, once."""
        if not self.written:
            self.written = True
            if self.deadline is not None:
                self.deadline.cancel()
            self.context.recorder.write_request(self.context, self)


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
            if not exchange.written:
                exchange.write()
            leave(entered)

    def _begin(self, scope: Scope, receive: Receive, send: Send) -> Exchange | None:
        try:
            kind = scope["type"]
            if kind not in ("http", "websocket") or SCOPE_KEY in scope or scope["path"] in self._excluded:
                return None
            sent = scope["headers"]
            headers = dict(sent)
            if len(headers) < len(sent):
                headers |= joined(sent)
            exchange = self._open(scope, headers, receive, send)
            if exchange is not None:
                context = exchange.context
                scope[SCOPE_KEY] = context
                scope.setdefault("state", {})["request_id"] = context.request_id
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame
            losses.fault("_begin", error)
            return None
        return exchange

    def _open(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> Exchange | None:
        recorder = self.recorder
        context = RequestContext(recorder, scope, utc_now())
        attributor = recorder.attributor
        context.attribution = attributor.read(headers) if attributor.reads_headers else attributor.defaults.copy()
        recorder.tracing.begin(context, headers)
        if _REQUEST_ID in headers:
            context.request_id = sane_request_id(headers[_REQUEST_ID]) or context.request_id
        return Exchange(context, scope["method"] if scope["type"] == "http" else METHOD_WEBSOCKET, receive, send)

    def _closing(self, send: Send) -> Send:
        def watch(message: Message) -> Awaitable[None]:
            if message["type"] == "lifespan.startup.complete":
                self.recorder.tracing.started(self.recorder)
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                # uvicorn re-raises SIGTERM after its graceful stop, so atexit would not run.
                self.recorder.close()
            return send(message)

        return watch
