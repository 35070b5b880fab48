"""A model call in flight, whoever watches it, and the one event it becomes."""

from __future__ import annotations

import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from tollmeter.instrumentation.call_line import write_ordinary
from tollmeter.instrumentation.context import CARRIED, _current
from tollmeter.instrumentation.fallback import standing_in_for
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.spend import admit, limits_in_force, settle, total
from tollmeter.instrumentation.text import clean_facts, clean_name, clean_text
from tollmeter.model import names
from tollmeter.model.events import LlmCall, Status
from tollmeter.model.ids import getrandbits, imported_event_id, new_event_id, new_span_id, new_trace_id
from tollmeter.pricing import Usage
from tollmeter.pricing.call import cost_columns, price_call
from tollmeter.pricing.raw_usage import raw_usage

if TYPE_CHECKING:
    from decimal import Decimal

    from tollmeter.instrumentation.content.capture import Content
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.pricing import Cost, FurtherUsage

NOTHING_USED: Final = Usage(input_tokens=0, output_tokens=0)
"""What an answer of the application's own cache consumed, so that sums of tokens are sums of what was consumed."""

watching: ContextVar[int] = ContextVar("tollmeter_watching", default=0)
"""Not 0 below an active tap or `llm_call`: a call that passes two of them is counted by the outer one."""
CARRIED.append(watching)


class Call:
    """One attempt at one model call; `finish` writes its event exactly once.

    `facts` holds the fields of `LlmCall` that are plainly observed (models, tier, ids, rate limits, …).
    """

    __slots__ = (
        "call_id", "content", "context", "ended", "facts", "finished", "first_byte", "first_token", "further", "job_id",
        "limits", "parent", "recorder", "said", "span_id", "started", "started_at", "usage",
    )  # fmt: skip

    def __init__(
        self, recorder: Recorder, *, provider: str = "", operation: str = "", facts: dict[str, Any] | None = None
    ) -> None:
        self.recorder = recorder
        self.context = _current.get()
        self.call_id = new_event_id()
        self.span_id = (getrandbits(64) or 1).to_bytes(8, "big").hex()  # as `new_span_id`, without its frame
        self.facts: dict[str, Any] = {"provider": provider, "operation": operation} if facts is None else facts
        self.parent = recorder.tracing.begin_call(self)
        self.started_at = datetime.now(UTC)
        self._begin_empty()
        self.started = time.perf_counter_ns()

    def _begin_empty(self) -> None:
        """What every call has that nothing was seen of yet, however it comes to be."""
        self.ended = 0
        """The moment the call came to its end, where that was not when it was finished here."""
        self.job_id = ""
        """The provider's id of work that goes on after its answer."""
        self.first_byte = 0
        self.first_token = 0
        self.usage: Usage | None = None
        self.content: Content | None = None
        """What was asked and answered, where that is recorded."""
        self.said = b""
        """The JSON answer or event that told the usage, for where it must be shown as it was sent."""
        self.further: list[FurtherUsage] = []
        self.finished = False
        if model := standing_in_for.get():
            self.facts["fallback_from"] = model
        self.limits = limits_in_force.get()

    def admit(self, *, hold: bool = True) -> None:
        """Ask the limits around it whether it may be sent, once its facts are known; `hold` says that it is.

        Raises:
            SpendLimitError: one of them is spent.
        """
        if self.limits:
            admit(self, hold=hold)

    def at_most_usd(self) -> Decimal | None:
        """What its output may cost, as far as `max_tokens` says; None where the model has no price."""
        most = Usage(input_tokens=0, output_tokens=self.facts.get("max_tokens") or 0)
        return self.cost(most, names.STATUS_OK).cost_usd

    def now(self) -> int:
        """The clock of `started`, in ns."""
        return time.perf_counter_ns()

    def saw_byte(self) -> None:
        """The first byte of the answer's body has come."""
        if not self.first_byte:
            self.first_byte = time.perf_counter_ns()

    def saw_token(self) -> None:
        """The first content, reasoning or tool-call delta has come."""
        if not self.first_token:
            self.first_token = time.perf_counter_ns()

    @guarded(default=None)
    def fail(self, error: BaseException) -> None:
        """The call ended in an exception; a cancelled one is partial, not failed."""
        gone = not isinstance(error, Exception)  # CancelledError of asyncio, Cancelled of trio, GeneratorExit, …
        self.finish(names.STATUS_PARTIAL if gone else names.STATUS_ERROR, type(error).__name__)

    def finish(self, status: Status, error_type: str = "") -> None:
        """Write the event, once."""
        if self.finished:
            return
        self.finished = True
        try:
            if not write_ordinary(self, status, error_type):
                self._write_whole(status, error_type)
            self.recorder.tracing.end_call(self)
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame
            losses.fault("finish", error)

    def _write_whole(self, status: Status, error_type: str) -> None:
        events: list[LlmCall] = []
        try:
            event = self.event(status, error_type, self.ended or self.now())
            if event.usage_source != names.USAGE_REPORTED or event.cost_status == names.COST_INCONSISTENT:
                event = self._with_raw_usage(event)
            if self.content is not None:
                event = structs.replace(event, **self.content.columns(event.finish_reason))
            events.append(event)
            if self.further and not self.facts.get("cache_hit"):
                events += [self._inner_event(event, inner, number) for number, inner in enumerate(self.further)]
        finally:
            if self.limits:
                settle(self, total(events) if events else None)
        context, recorder = self.context, self.recorder
        for event in events:
            if context is not None:
                context.add_call(self.call_id, (event.input_tokens, event.output_tokens), event.cost_usd)
            recorder.write(event)

    def _with_raw_usage(self, event: LlmCall) -> LlmCall:
        raw = raw_usage(self.said)
        return structs.replace(event, raw_usage=clean_text(raw, len(raw))) if raw else event

    def cost(self, usage: Usage | None, status: Status, model: str = "") -> Cost:
        """What a usage costs in this call, or in one of another model inside of it."""
        facts = self.facts
        return price_call(
            self.recorder.book,
            usage,
            provider=facts["provider"],
            request_model=model or facts.get("request_model", ""),
            response_model=model or facts.get("response_model", ""),
            at=self.started_at,
            status=status,
            service_tier=facts.get("service_tier", ""),
            resource_id="" if model else facts.get("resource_id", ""),
            region=facts.get("inference_region", ""),
            cache_hit=facts.get("cache_hit", False),
        )

    def _inner_event(self, event: LlmCall, inner: FurtherUsage, number: int) -> LlmCall:
        """An inference that ran inside this call, such as Anthropic's advisor: a call of its own, below this one."""
        model = inner.model or event.response_model or event.request_model
        return structs.replace(
            event,
            event_id=imported_event_id(event.event_id, str(number)),
            span_id=new_span_id(),
            parent_span_id=event.span_id,
            losses={},
            raw_usage="",
            input_content="",
            output_content="",
            usage_method="",
            resource_id="",
            request_model=model,
            response_model=model,
            ttfb_ms=None,
            ttft_ms=None,
            output_tokens_per_s=None,
            **_tokens(inner.usage),
            **cost_columns(self.cost(inner.usage, event.status, model)),
        )

    def event(self, status: Status, error_type: str, now: int) -> LlmCall:
        """The call as an event that ends now."""
        # One dict of all fields, built once: merging keyword arguments in stages costs twice as much.
        context, (trace_id, parent_span_id) = self.context, self.parent
        fields = {
            **self.recorder.identity,
            **(context.attribution if context else self.recorder.attributor.defaults),
            **clean_facts(self.facts),
            **_tokens(NOTHING_USED if self.facts.get("cache_hit") else self.usage),
            **cost_columns(self.cost(self.usage, status)),
            "event_id": self.call_id,
            "timestamp": self.started_at,
            "losses": losses.take(),
            "trace_id": trace_id or new_trace_id(),
            "span_id": self.span_id,
            "parent_span_id": parent_span_id,
            "tags": self.recorder.tags_of(context),
            "status": status,
            "error_type": clean_name(error_type),
            "latency_ms": (now - self.started) / 1e6,
            "output_tokens_per_s": self.speed(now),
        }
        if context is not None:
            fields["request_id"] = context.request_id
            fields["route"] = context.route
        if self.first_byte:
            fields["ttfb_ms"] = (self.first_byte - self.started) / 1e6
        if self.first_token:
            fields["ttft_ms"] = (self.first_token - self.started) / 1e6
        return LlmCall(**fields)

    def speed(self, now: int) -> float | None:
        """Output tokens per second since the first; None where that cannot be said."""
        if not (self.first_token and self.usage and self.usage.output_tokens and now > self.first_token):
            return None
        if self.facts.get("cache_hit"):
            return None
        return self.usage.output_tokens * 1e9 / (now - self.first_token)


def _tokens(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    columns = structs.asdict(usage)
    columns["usage_source"] = columns.pop("source")
    return columns
