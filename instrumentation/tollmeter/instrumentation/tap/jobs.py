"""Calls whose answer comes later: background responses and assistants' runs, which the client polls.

The call is held until an answer that passes a tap shows it at its end, and is then written once, with the attribution
of the request that asked for it. Its id is made of the provider's, so that two processes that see the same end land one
row. What nobody polls is written without usage when the process ends or 1,024 are held.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tollmeter.model import names
from tollmeter.model.ids import imported_event_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call

MAX_HELD: Final = 1024
MAX_SEEN: Final = 1 << 14


class Seen:
    """The ids of imported events that this process has written, the newest 16,384 of them."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, event_id: str) -> bool:
        """Whether it is new here."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > MAX_SEEN:
            self._ids.popitem(last=False)
        return True

    def forget(self) -> None:
        """As in a new process."""
        self._ids.clear()


class Held:
    """Calls by their event id, the newest 1,024."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: OrderedDict[str, Call] = OrderedDict()

    def hold(self, call: Call) -> None:
        """Keep a call; the oldest is written as it is where there are too many."""
        with self._lock:
            if not self._calls:
                atexit.register(self.release)
            self._calls[call.call_id] = call
            oldest = self._calls.popitem(last=False)[1] if len(self._calls) > MAX_HELD else None
        if oldest is not None:
            oldest.finish(names.STATUS_PARTIAL)

    def take(self, event_id: str) -> Call | None:
        """The call of that id, no longer held."""
        with self._lock:
            return self._calls.pop(event_id, None)

    def release(self) -> None:
        """Write what is held as it is; a process that ends does so."""
        atexit.unregister(self.release)
        with self._lock:
            calls, self._calls = self._calls, OrderedDict()
        for call in calls.values():
            call.finish(names.STATUS_PARTIAL)

    def forget(self) -> None:
        """A forked child holds nothing: its parent does."""
        self._lock = threading.Lock()
        self._calls = OrderedDict()


held: Final = Held()
seen: Final = Seen()
os.register_at_fork(after_in_child=held.forget)


def take_over(call: Call, *, is_over: bool) -> bool:
    """Hold a call whose answer names a job, unless it is over already; whether it is held."""
    call.call_id = imported_event_id(call.facts["provider"], call.job_id)
    if is_over or (call.usage is not None and call.usage.source != names.USAGE_ESTIMATED):
        seen.add(call.call_id)
        return False
    call.ended = time.perf_counter_ns()
    held.hold(call)
    return True
