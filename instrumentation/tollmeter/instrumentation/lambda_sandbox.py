"""The Lambda sandbox this process may run in: what its environment says, its cold start, and the end of an invocation.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from tollmeter.instrumentation.guard import guarded
from tollmeter.model.names import (
    ERROR_LAMBDA_TIMEOUT,
    HEADER_XRAY,
    TAG_AWS_REQUEST_ID,
    TAG_COLD_START,
    TAG_FUNCTION,
    TAG_MEMORY_MB,
    TRUE,
)

if TYPE_CHECKING:
    from tollmeter.instrumentation.context import RequestContext
    from tollmeter.instrumentation.outcome import Outcome

MARGIN_S: Final = 0.2
"""How long before the end of its time an invocation is taken for timed out: the sandbox is stopped without a word."""

_FUNCTION: Final = "AWS_LAMBDA_FUNCTION_NAME"
_TRACE: Final = "_X_AMZN_TRACE_ID"
_warm: Final = threading.Event()


def in_lambda() -> bool:
    """Whether this process runs in a Lambda function."""
    return bool(os.environ.get(_FUNCTION))


def take_cold_start() -> bool:
    """True once in a sandbox that was made for its first invocation, and not ahead of it (provisioned concurrency)."""
    if _warm.is_set():
        return False
    _warm.set()
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") == "on-demand"


def sandbox_tags(*, is_cold: bool, aws_request_id: str = "") -> dict[str, str]:
    """Tags of an invocation; `cold_start` stands there only where it is true."""
    found = {
        TAG_FUNCTION: os.environ.get(_FUNCTION, ""),
        TAG_MEMORY_MB: os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
        TAG_AWS_REQUEST_ID: aws_request_id,
        TAG_COLD_START: TRUE if is_cold else "",
    }
    return {name: value for name, value in found.items() if value}


def add_trace_header(headers: dict[bytes, bytes]) -> None:
    """Lambda's own segment is the parent, where Lambda traces: the event's header names the one above it."""
    if value := os.environ.get(_TRACE):
        headers[HEADER_XRAY.encode()] = value.encode("utf-8", "replace")


@guarded(default=None)
def remaining_ms(context: Any) -> float | None:
    """The time left to an invocation, as the context that Lambda hands to a handler tells; None if it does not."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else float(remaining())


class Timed(Protocol):
    """A request that can be written before its end."""

    context: RequestContext
    written: bool
    deadline: Deadline | None

    @property
    def outcome(self) -> Outcome:
        """What has been seen of it."""
        ...

    def write(self) -> None:
        """Write the event, once."""
        ...


class Deadline:
    """Writes a request as `LambdaTimeout` shortly before its time is over; `cancel` when it is done.

    `serving` is the request inside of it that is being served, which is written in its stead while it lasts.
    """

    __slots__ = ("_request", "_timer", "serving")

    def __init__(self, request: Timed, remaining_ms: float) -> None:
        self._request = request
        self.serving: Timed | None = None
        self._timer: threading.Timer | None = None
        left = remaining_ms / 1000 - MARGIN_S
        if 0 < left < threading.TIMEOUT_MAX:
            self._timer = threading.Timer(left, self._time_out)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """The request is over in time."""
        if self._timer is not None:
            self._timer.cancel()

    @guarded(default=None)
    def _time_out(self) -> None:
        serving = self.serving
        request = self._request if serving is None or serving.written else serving
        if not request.written:
            request.outcome.error_type = ERROR_LAMBDA_TIMEOUT
            request.write()
