"""A request that came by another way than ASGI: a queue message, a job, a Lambda invocation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.context import (
    Entered,
    RequestContext,
    current_request,
    enter,
    leave,
    parent_span_id,
)
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.lambda_sandbox import Deadline
from tollmeter.instrumentation.outcome import Outcome, name_of
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.instrumentation.text import clean_name, clean_text
from tollmeter.model.events import utc_now
from tollmeter.model.names import HEADER_REQUEST_ID

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder

LOSS_WITHOUT_INSTRUMENT: Final = "request_without_instrument"
_NO_HEADERS: Final[dict[bytes, bytes]] = {}


class Work:
    """One request in flight: current from `begin` to `end`, and its event is written exactly once.

    Work inside of another request is a request of its own in the same trace, and inherits its attribution.
    """

    __slots__ = ("_entered", "context", "deadline", "outcome", "written")

    def __init__(
        self, recorder: Recorder, *, method: str, route: str, headers: dict[bytes, bytes] = _NO_HEADERS
    ) -> None:
        outer = current_request()
        context = RequestContext(recorder, {}, utc_now())
        context.name_route(clean_text(route))
        context.attribution = _attribution(recorder, headers, outer)
        recorder.tracing.begin(context, headers)
        if outer is not None and not context.parent_span_id:
            context.follow(outer, parent_span_id(outer))
        context.request_id = sane_request_id(headers.get(HEADER_REQUEST_ID.encode())) or context.request_id
        self.context = context
        self.outcome = Outcome(method)
        self.written = False
        self.deadline: Deadline | None = None
        self._entered: Entered | None = None

    def begin(self) -> None:
        """Make it the current request."""
        self._entered = enter(self.context)

    def end_within(self, remaining_ms: float) -> None:
        """Write it as timed out when that time is nearly over."""
        self.deadline = Deadline(self, remaining_ms)

    def end(self, error: BaseException | None = None) -> None:
        """Write the event, and make the outer request current again."""
        if error is not None and not self.outcome.error_type:
            self.outcome.error_type = _error_type(error)
        if self.deadline is not None:
            self.deadline.cancel()
        self.write()
        if self._entered is not None:
            leave(self._entered)

    def write(self) -> None:
        """Write the event, once."""
        if not self.written:
            self.written = True
            self.context.recorder.write_request(self.context, self.outcome)


def _attribution(recorder: Recorder, headers: dict[bytes, bytes], outer: RequestContext | None) -> dict[str, object]:
    """What the headers say, over the outer request's, over the settings'."""
    attributor = recorder.attributor
    found = attributor.read(headers)
    if outer is None:
        return found
    said = {field: value for field, value in found.items() if attributor.defaults.get(field) != value}
    return attributor.defaults | outer.attribution | said


def _error_type(error: BaseException) -> str:
    # A script that ends itself well, as cron jobs do, has not failed.
    return "" if isinstance(error, SystemExit) and not error.code else name_of(error)


class WorkBlock(ABC):
    """A `with` block, sync or async, whose inside is one request; a subclass says which."""

    def __init__(self) -> None:
        self._work: Work | None = None

    @abstractmethod
    def _open(self, recorder: Recorder) -> Work:
        """Begin the request."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    @guarded(default=None)
    def _begin(self) -> None:
        recorder = active_recorder()
        if recorder is None:
            losses.add(LOSS_WITHOUT_INSTRUMENT)
            return
        self._work = self._open(recorder)
        self._work.begin()

    @guarded(default=None)
    def _end(self, error: BaseException | None) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.end(error)


def tagged(work: Work, tags: Mapping[str, str]) -> Work:
    """The work, with tags of its own over those it has."""
    work.context.tags |= {clean_name(name): clean_text(value) for name, value in tags.items()}
    return work
