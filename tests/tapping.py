"""What tests of the tap share: a process instrumented into memory, and its events."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tollmeter.instrumentation import active, instrument
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap import jobs, reading_results
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode


@contextmanager
def recording(**settings: Any) -> Iterator[MemoryWriter]:
    """Record into memory until the block ends, knowing nothing of tests before."""
    writer = MemoryWriter()
    active._default.clear()
    jobs.seen.forget()
    jobs.held.forget()
    reading_results._times.clear()
    losses.take()
    instrument(writer=writer, mode="lean", service="svc", **settings)
    yield writer
    active._default.clear()


def calls_of(writer: MemoryWriter) -> list[LlmCall]:
    """The model calls so far; none of them tells of a fault of ours."""
    gc.collect()
    events = [decode(line) for line in writer.lines]
    calls = [event for event in events if isinstance(event, LlmCall)]
    assert not [reason for call in calls for reason in call.losses if reason.startswith("internal")]
    assert not [reason for reason in losses.take() if reason.startswith("internal")]
    return calls


def call_of(writer: MemoryWriter) -> LlmCall:
    """The only model call."""
    (call,) = calls_of(writer)
    return call
