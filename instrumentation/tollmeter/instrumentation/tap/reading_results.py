"""What readers of results share: the call that a line of a batch tells of, and times as providers write them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.tap import jobs
from tollmeter.model import names
from tollmeter.model.ids import imported_event_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.instrumentation.tap.scanning import Scanner

_MAX_TIMES: Final = 1024
_times: Final[OrderedDict[str, datetime]] = OrderedDict()
"""When batches ended, by the id of the batch or file that holds the results: told by a retrieval that was seen."""


class Reader:
    """One kind of results, of one provider."""

    def __init__(self, recorder: Recorder, provider: str, source: str) -> None:
        self.recorder = recorder
        self.provider = provider
        self.source = source

    def scanner(self, kind: bytes) -> Scanner | None:
        """None: the whole document is to be read."""
        del kind
        return None

    def read(self, document: bytes) -> None:
        """Read the whole document."""

    def begin(self, source_id: str, at: datetime | None, operation: str = names.OPERATION_CHAT) -> Call | None:
        """The call that a line of a batch tells of, or None where this process has told it before."""
        event_id = imported_event_id(f"{self.provider}/{self.source}", source_id)
        if not jobs.seen.add(event_id):
            return None
        call = Call(self.recorder, provider=self.provider, operation=operation)
        call.call_id = event_id
        call.started_at = at or _times.get(self.source, call.started_at)
        call.ended = call.started
        return call

    def end(self, call: Call, error: str) -> None:
        """Write the call of a line."""
        call.facts["service_tier"] = names.TIER_BATCH
        call.finish(names.STATUS_ERROR if error else names.STATUS_OK, error[:256])


def time_of(told: object) -> datetime | None:
    """A time told as seconds since 1970 or as RFC 3339."""
    try:
        if isinstance(told, int | float) and not isinstance(told, bool):
            return datetime.fromtimestamp(told, UTC)
        if isinstance(told, str):
            found = datetime.fromisoformat(told)
            return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
    return None


def note_end(key: str, ended: datetime) -> None:
    """Remember when a batch ended."""
    _times[key] = ended
    if len(_times) > _MAX_TIMES:
        _times.popitem(last=False)
