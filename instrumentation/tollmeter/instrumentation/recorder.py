"""Builds events with the identity of this process and hands them to the writer."""

from __future__ import annotations

import functools
import os
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import force_setattr

from tollmeter.instrumentation import on_demand
from tollmeter.instrumentation.bounds import ORDINARY_BYTES, fit_line
from tollmeter.instrumentation.guard import guarded, logger, losses
from tollmeter.instrumentation.propagation.outgoing import Outgoing
from tollmeter.instrumentation.text import clean_name, clean_text
from tollmeter.model.errors import TollmeterError
from tollmeter.model.events import Event, Request, encode, encode_part
from tollmeter.model.ids import new_event_id, new_instance_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.attribution import Attributor
    from tollmeter.instrumentation.content.capture import Capture
    from tollmeter.instrumentation.content.free_text import Redaction
    from tollmeter.instrumentation.context import RequestContext
    from tollmeter.instrumentation.outcome import Outcome
    from tollmeter.instrumentation.tracing import Tracing
    from tollmeter.instrumentation.writer import Writer
    from tollmeter.model.settings import Settings
    from tollmeter.pricing.book import PriceBook

LOSS_ENCODE: Final = "encode"
LOSS_PRICE_OVERLAY: Final = "price_overlay_unread"


class Recorder:
    """What an instrumented app records with: settings, identity, writer and mode."""

    def __init__(self, settings: Settings, writer: Writer, tracing: Tracing, attributor: Attributor) -> None:
        self.settings = settings
        self.writer = writer
        self.tracing = tracing
        self.attributor = attributor
        self.outgoing = Outgoing(settings)
        self.capture = _capture(settings)
        self._redact = _redaction(settings)
        self.redacts = self._redact is not None
        self.extra_hosts = frozenset(settings.providers.items())
        self.identity: dict[str, Any] = {
            name: clean_name(value)
            for name in ("service", "environment", "version", "region", "account_id")
            if (value := getattr(settings, name))
        }
        self._further_identity = [(name, value) for name, value in self.identity.items() if name != "service"]
        self._tags = {clean_name(key): clean_text(value) for key, value in settings.tags.items()}
        self.renew_instance()
        if settings.price_overlay:
            _ = self.book  # what is wrong with it is told at the start
        if settings.include_usage:
            on_demand.asking.need()
        _recorders.add(self)

    @functools.cached_property
    def book(self) -> PriceBook:
        """The prices that calls are recorded with; read once it is asked for, which takes some milliseconds."""
        return _book(self.settings.price_overlay)

    def renew_instance(self) -> None:
        """A process is an instance; a forked child is another."""
        self.identity["instance"] = new_instance_id()
        self.call_head = b'{"kind":"llm_call",' + encode_part(self.identity)[1:-1] + b","
        """What the line of every model call begins with."""

    def write(self, event: Event) -> bool:
        """Append one event; what is lost is counted and the counts ride on the next."""
        if self._redact is not None:
            event = self._redact(event)
        try:
            line = encode(event)
        except Exception:  # noqa: BLE001  a value no one foresaw
            line = b""
        if not 0 < len(line) <= ORDINARY_BYTES:
            line = _fitting(event)
        if line and self.writer.append(line):
            return True
        losses.put_back(event.losses)
        return False

    def write_request(self, context: RequestContext, outcome: Outcome) -> None:
        """Write the event of a request that is about to be complete."""
        try:
            self.write(self._request_event(context, outcome))
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame
            losses.fault("write_request", error)

    def _request_event(self, context: RequestContext, outcome: Outcome) -> Request:
        # What most requests have is named in the call, without a `**` that would make a dictionary of it all; a request
        # that has more gets that afterwards, while nobody else has seen the event.
        identity = self.identity
        event = Request(
            event_id=new_event_id(),
            timestamp=context.started_at,
            service=identity["service"],
            instance=identity["instance"],
            request_id=context.request_id,
            trace_id=context.trace_id,
            span_id=context.span_id,
            parent_span_id=context.parent_span_id,
            route=context.let_go_of_scope(),
            method=clean_name(outcome.method),
            status_code=outcome.status_code,
            duration_ms=(time.perf_counter_ns() - context.started) / 1e6,
            ttfb_ms=outcome.ttfb_ms,
            response_bytes=outcome.response_bytes,
            client_disconnected=outcome.client_disconnected,
            llm_calls=context.calls,
            cost_usd=context.cost_usd,
        )
        for name, value in self._further_identity:
            force_setattr(event, name, value)
        for name, value in context.attribution.items():
            force_setattr(event, name, value)
        if self._tags or context.tags:
            force_setattr(event, "tags", self.tags_of(context))
        if outcome.error_type:
            force_setattr(event, "error_type", clean_name(outcome.error_type))
        if context.steps:
            force_setattr(event, "steps", context.steps)
            force_setattr(event, "steps_dropped", context.steps_dropped)
        if context.calls:
            force_setattr(event, "input_tokens", context.input_tokens)
            force_setattr(event, "output_tokens", context.output_tokens)
        if losses.counts:
            force_setattr(event, "losses", losses.take())
        return event

    def tags_of(self, context: RequestContext | None) -> dict[str, str]:
        """Tags of the settings, then of the request."""
        if context is None or not context.tags:
            return self._tags
        return self._tags | context.tags if self._tags else dict(context.tags)

    @guarded(default=None)
    def close(self) -> None:
        """Let go of the segment, so that the forwarder may take it at once."""
        self.writer.close()


def _capture(settings: Settings) -> Capture | None:
    if settings.capture_content == "off":
        return None
    from tollmeter.instrumentation.content.capture import Capture

    return Capture(settings)


def _redaction(settings: Settings) -> Redaction | None:
    if not settings.redactors:
        return None
    from tollmeter.instrumentation.content.free_text import Redaction

    return Redaction(settings.redactors)


def _fitting(event: Event) -> bytes:
    """The line of an event that is out of bounds; empty where it can be none, which is counted."""
    try:
        return fit_line(event)
    except Exception as error:  # noqa: BLE001  it must not reach the host
        losses.fault(LOSS_ENCODE, error)
        return b""


def _book(overlay: str) -> PriceBook:
    """The price book to record with; without an overlay that is set but broken, its costs are marked `estimated`."""
    from tollmeter.pricing.book import doubtful_book, open_book

    try:
        return open_book(overlay)
    except (TollmeterError, OSError) as error:
        losses.add(LOSS_PRICE_OVERLAY)
        logger.error("tollmeter: the price overlay is not used, and costs are marked estimated: %s", error)
        return doubtful_book(Path(overlay).name)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _renew_in_child() -> None:
    for recorder in list(_recorders):
        recorder.renew_instance()


os.register_at_fork(after_in_child=_renew_in_child)
