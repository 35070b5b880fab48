"""Polls of work that a provider does in the background: the state that shows its end is the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.tap import jobs
from tollmeter.instrumentation.tap.reading_results import Reader, time_of
from tollmeter.instrumentation.tap.scanning import Lines
from tollmeter.instrumentation.tap.wires import WIRE_OPENAI, WIRES
from tollmeter.model import names
from tollmeter.model.ids import imported_event_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.instrumentation.tap.scanning import Scanner
    from tollmeter.instrumentation.tap.text_meter import TextMeter
    from tollmeter.model.events import Status

_SSE: Final = b"text/event-stream"
_ENDS: Final[dict[str, Status]] = {
    "completed": names.STATUS_OK,
    "incomplete": names.STATUS_OK,
    "failed": names.STATUS_ERROR,
    "cancelled": names.STATUS_PARTIAL,
    "expired": names.STATUS_PARTIAL,
}


class _Job(msgspec.Struct):
    id: Any = None
    object: Any = None
    status: Any = None
    background: Any = None
    created_at: Any = None
    completed_at: Any = None
    response: msgspec.Raw = msgspec.Raw(b"")


_job: Final = msgspec.json.Decoder(_Job)


class Job(Reader):
    """A background response, or a run of an assistant, as a poll or a resumed stream shows it."""

    done = False
    error = ""
    meter: TextMeter | None = None

    def __init__(self, recorder: Recorder, provider: str, source: str) -> None:
        super().__init__(recorder, provider, source)
        self._lines = Lines()

    def scanner(self, kind: bytes) -> Scanner | None:
        """Itself, where a stream is resumed."""
        return self if _SSE in kind else None

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of a stream, cut anywhere."""
        for line in self._lines.feed(chunk).split(b"\n"):
            if line.startswith(b"data:") and b'"status"' in line:
                self.read(line[5:])

    def finish(self) -> None:
        """An unfinished line says nothing."""

    def read(self, document: bytes) -> None:
        """Read one state; of the many that polls show only the last is a call."""
        try:
            job = _job.decode(document)
            if bytes(job.response)[:1] == b"{":  # an event of a stream holds the state
                document = bytes(job.response)
                job = _job.decode(document)
        except msgspec.MsgspecError:
            return
        status = _ENDS.get(job.status) if isinstance(job.status, str) else None
        if status is None or not isinstance(job.id, str) or not (job.background is True or job.object == "thread.run"):
            return
        event_id = imported_event_id(self.provider, job.id)
        if jobs.seen.add(event_id):
            self._record(job, event_id, status, document)

    def _record(self, job: _Job, event_id: str, status: Status, document: bytes) -> None:
        call = jobs.held.take(event_id)
        created, completed = time_of(job.created_at), time_of(job.completed_at)
        if call is None:
            call = Call(self.recorder, provider=self.provider, operation=names.OPERATION_CHAT)
            call.call_id = event_id
            call.started_at = created or call.started_at
            call.ended = call.started
        else:
            call.ended = 0
        if created and completed and completed >= created:
            call.ended = call.started + int((completed - created).total_seconds() * 1e9)
        call.said = document
        error = WIRES[WIRE_OPENAI].read_answer(call, document)
        if call.usage is not None and call.usage.source == names.USAGE_REPORTED:
            call.facts.pop("usage_method", None)  # of a stream that was left before its end
        call.finish(status, error or (job.status if status == names.STATUS_ERROR else ""))
