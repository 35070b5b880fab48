"""ASGI apps in Lambda, behind Mangum or the Lambda Web Adapter: what either hands down of the invocation.

https://mangum.fastapiexpert.com/asgi-frameworks/ (`aws.event`, `aws.context` in the scope) and
https://awslabs.github.io/aws-lambda-web-adapter/features/request-context.html (headers)
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from typing import Any, Final, NamedTuple

import msgspec

from tollmeter.instrumentation.context import current_request
from tollmeter.instrumentation.lambda_sandbox import (
    Deadline,
    Timed,
    add_trace_header,
    sandbox_tags,
    take_cold_start,
)
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.model.names import HEADER_LAMBDA_CONTEXT, HEADER_REQUEST_ID, HEADER_XRAY

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


class LambdaRequests:
    """Makes requests of an ASGI app the requests of their invocations."""

    def __init__(self) -> None:
        self._readiness = next((path for name in _READINESS if (path := os.environ.get(name))), "/")

    def is_readiness_check(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> bool:
        """Whether the Web Adapter only asks if the app is up, which it does many times before the first invocation."""
        return scope["path"] == self._readiness and "aws.context" not in scope and _CONTEXT not in headers

    def read(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> Invoked:
        """What the scope or the headers tell; the invocation's trace becomes the headers'."""
        context = scope.get("aws.context")
        if context is None:
            return _from_headers(headers)
        add_trace_header(headers)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        return Invoked(str(getattr(context, "aws_request_id", "") or ""), remaining() if remaining else None)

    def adopt(self, request: Timed, invoked: Invoked, headers: dict[bytes, bytes]) -> None:
        """Give a request the ids and tags of its invocation; a handler that is instrumented too writes none then."""
        context = request.context
        outer = current_request()
        aws_id = invoked.aws_request_id
        if HEADER_REQUEST_ID.encode() not in headers and sane_request_id(aws_id.encode("utf-8", "replace")):
            context.request_id = aws_id
        if outer is not None and outer.invocation is not None:
            context.tags |= outer.tags
            context.follow(outer, outer.parent_span_id)
            outer.invocation.tell(request)
            return
        context.tags |= sandbox_tags(is_cold=take_cold_start(), aws_request_id=aws_id)
        if invoked.remaining_ms is not None:
            request.deadline = Deadline(request, invoked.remaining_ms)


def _from_headers(headers: dict[bytes, bytes]) -> Invoked:
    try:
        found = msgspec.json.decode(headers[_CONTEXT], type=_WebAdapterContext)
    except (KeyError, msgspec.MsgspecError, ValueError, RecursionError):
        return Invoked()
    if found.xray_trace_id:
        headers[HEADER_XRAY.encode()] = found.xray_trace_id.encode("utf-8", "replace")
    remaining = None if found.deadline is None else found.deadline - time.time() * 1000
    return Invoked(found.request_id, remaining)
