"""Native Lambda handlers: one request per invocation, unless the app or the messages inside tell it themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.lambda_events import Trigger, read_answer, read_trigger
from tollmeter.instrumentation.lambda_sandbox import (
    Timed,
    add_trace_header,
    remaining_ms,
    sandbox_tags,
    take_cold_start,
)
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.instrumentation.work import Work, tagged
from tollmeter.model.names import HEADER_REQUEST_ID

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

_SERVER_ERROR: Final = 500


class Invocation(Work):
    """One invocation; `is_told` once an ASGI app or `consume` inside of it writes what it served."""

    __slots__ = ("_trigger", "is_told")

    def __init__(self, recorder: Recorder, trigger: Trigger, context: Any) -> None:
        super().__init__(recorder, method=trigger.method, route=trigger.route, headers=trigger.headers)
        self.is_told = False
        self._trigger = trigger
        aws_id = str(getattr(context, "aws_request_id", "") or "")
        if HEADER_REQUEST_ID.encode() not in trigger.headers and sane_request_id(aws_id.encode()):
            self.context.request_id = aws_id
        tagged(self, sandbox_tags(is_cold=take_cold_start(), aws_request_id=aws_id) | trigger.tags)
        self.context.invocation = self

    def tell(self, inner: Timed) -> None:
        """Something inside writes the request; whatever is left of this one is its failure."""
        self.is_told = True
        if self.deadline is not None:
            self.deadline.serving = inner

    @guarded(default=None)
    def answer(self, result: object) -> None:
        """What the handler returned."""
        found = read_answer(self._trigger, result)
        self.outcome.status_code = found.status_code
        self.outcome.response_bytes = found.response_bytes
        if found.status_code is not None and found.status_code >= _SERVER_ERROR:
            self.outcome.error_type = str(found.status_code)
        tagged(self, found.tags)

    @guarded(default=None)
    def finish(self, error: BaseException | None) -> None:
        """Write it, unless what was inside has told it all."""
        if error is not None and self._trigger.is_http:
            self.outcome.status_code = _SERVER_ERROR
        self.written = self.written or (self.is_told and error is None)
        self.end(error)


class Handler:
    """A Lambda handler whose invocations are recorded."""

    is_recorded: Final = True

    def __init__(self, handler: Callable[..., Any], recorder: Recorder) -> None:
        functools.update_wrapper(self, handler, updated=())
        self._handler = handler
        self._recorder = recorder
        self._excluded = frozenset(recorder.settings.exclude_routes)

    def __call__(self, event: Any, context: Any, *more: Any, **named: Any) -> Any:
        """Handle one invocation."""
        invocation = self._begin(event, context)
        if invocation is None:
            return self._handler(event, context, *more, **named)
        try:
            result = self._handler(event, context, *more, **named)
        except BaseException as error:
            invocation.finish(error)
            raise
        invocation.answer(result)
        invocation.finish(None)
        return result

    @guarded(default=None)
    def _begin(self, event: Any, context: Any) -> Invocation | None:
        trigger = self._read(event, str(getattr(context, "function_name", "") or self._recorder.settings.service))
        if trigger.path in self._excluded:
            return None
        add_trace_header(trigger.headers)
        invocation = Invocation(self._recorder, trigger, context)
        remaining = remaining_ms(context)
        if remaining is not None:
            invocation.end_within(remaining)
        invocation.begin()
        return invocation

    @staticmethod
    def _read(event: Any, function_name: str) -> Trigger:
        try:
            return read_trigger(event, function_name)
        except Exception as error:  # noqa: BLE001  an event no one foresaw is an invocation all the same
            losses.fault("read Lambda event", error)
            return read_trigger(None, function_name)
