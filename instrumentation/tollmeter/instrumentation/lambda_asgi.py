"""ASGI apps in Lambda, behind Mangum or the Lambda Web Adapter: what either hands down of the invocation.

https://mangum.fastapiexpert.com/asgi-frameworks/ (`aws.event`, `aws.context` in the scope) and
https://awslabs.github.io/aws-lambda-web-adapter/features/request-context.html (headers)
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tollmeter.instrumentation.context import current_request
from tollmeter.instrumentation.lambda_sandbox import (
    Deadline,
    add_trace_header,
    remaining_ms,
    sandbox_tags,
    take_cold_start,
)
from tollmeter.instrumentation.middleware import ASGIApp, Exchange, Middleware, Receive, Scope, Send
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.model.names import HEADER_LAMBDA_CONTEXT, HEADER_REQUEST_ID, HEADER_XRAY

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

_MANGUM: Final = "aws.context"
_CONTEXT: Final = HEADER_LAMBDA_CONTEXT.encode()
_READINESS: Final = ("AWS_LWA_READINESS_CHECK_PATH", "READINESS_CHECK_PATH")


class _WebAdapterContext(msgspec.Struct):
    """`x-amzn-lambda-context`, as far as it is read."""

    request_id: str = ""
    deadline: int | None = None
    """Epoch milliseconds."""
    xray_trace_id: str | None = None


class Invoked(NamedTuple):
    """What is known of an invocation: AWS's request id, and the time that is left to it."""

    aws_request_id: str = ""
    remaining_ms: float | None = None


class LambdaMiddleware(Middleware):
    """Makes the requests of an ASGI app those of their invocations."""

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        super().__init__(app, recorder)
        self._readiness = next((path for name in _READINESS if (path := os.environ.get(name))), "/")

    def _open(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> Exchange | None:
        if scope["path"] == self._readiness and _CONTEXT not in headers and _MANGUM not in scope:
            return None  # the Web Adapter asks whether the app is up, many times before the first invocation
        invoked = _read(scope, headers)
        exchange = super()._open(scope, headers, receive, send)
        if exchange is not None:
            _adopt(exchange, invoked, headers)
        return exchange


def _read(scope: Scope, headers: dict[bytes, bytes]) -> Invoked:
    """What the scope or the headers tell; the invocation's trace becomes the headers'."""
    context = scope.get(_MANGUM)
    if context is None:
        return _from_headers(headers)
    add_trace_header(headers)
    return Invoked(str(getattr(context, "aws_request_id", "") or ""), remaining_ms(context))


def _adopt(exchange: Exchange, invoked: Invoked, headers: dict[bytes, bytes]) -> None:
    """Give a request the ids and tags of its invocation; a handler that is instrumented too writes none then."""
    context = exchange.context
    outer = current_request()
    aws_id = invoked.aws_request_id
    if HEADER_REQUEST_ID.encode() not in headers and sane_request_id(aws_id.encode("utf-8", "replace")):
        context.request_id = aws_id
    if outer is not None and outer.invocation is not None:
        context.tags |= outer.tags
        context.follow(outer, outer.parent_span_id)
        outer.invocation.tell(exchange)
        return
    context.tags |= sandbox_tags(is_cold=take_cold_start(), aws_request_id=aws_id)
    if invoked.remaining_ms is not None:
        exchange.deadline = Deadline(exchange, invoked.remaining_ms)


def _from_headers(headers: dict[bytes, bytes]) -> Invoked:
    try:
        found = msgspec.json.decode(headers[_CONTEXT], type=_WebAdapterContext)
    except (KeyError, msgspec.MsgspecError, ValueError, RecursionError):
        return Invoked()
    if found.xray_trace_id:
        headers[HEADER_XRAY.encode()] = found.xray_trace_id.encode("utf-8", "replace")
    remaining = None if found.deadline is None else found.deadline - time.time() * 1000
    return Invoked(found.request_id, remaining)
