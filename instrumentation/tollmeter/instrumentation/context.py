"""What is known of the request being served, and how code inside it adds to that."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.text import clean_name, clean_text
from tollmeter.model.events import Step
from tollmeter.model.ids import new_span_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.lambda_handler import Invocation
    from tollmeter.instrumentation.recorder import Recorder

ATTRIBUTION_FIELDS: Final = frozenset(
    {
        "user_id", "tenant_id", "team", "feature", "session_id",
        "prompt_name", "prompt_version", "experiment", "variant",
    }
)  # fmt: skip
MAX_TAGS: Final = 64
_NO_SCOPE: Final[MutableMapping[str, Any]] = {}

_current: ContextVar[RequestContext | None] = ContextVar("tollmeter_request", default=None)
_parent_span: ContextVar[str] = ContextVar("tollmeter_span", default="")

CARRIED: Final[list[ContextVar[Any]]] = [_current, _parent_span]
"""What goes along into threads: what makes a request and step current; modules that are loaded later add their own."""


class RequestContext:
    """One request in flight: ids, attribution, steps and sums of its model calls."""

    __slots__ = (
        "_route",
        "attribution",
        "calls",
        "cost_usd",
        "has_server_span",
        "input_tokens",
        "invocation",
        "last_call_id",
        "output_tokens",
        "parent_span_id",
        "recorder",
        "request_id",
        "scope",
        "span_id",
        "started",
        "started_at",
        "steps",
        "steps_dropped",
        "tags",
        "trace_flags",
        "trace_id",
        "trace_state",
    )  # fmt: skip

    def __init__(self, recorder: Recorder, scope: MutableMapping[str, Any], started_at: datetime) -> None:
        self.recorder = recorder
        self.scope = scope
        self.started_at = started_at
        self.started = time.perf_counter_ns()
        self.request_id = ""
        self.trace_id = ""
        self.span_id = ""
        self.parent_span_id = ""
        self.trace_flags = "01"
        self.trace_state = ""
        self.attribution: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.steps: list[Step] = []
        self.steps_dropped = 0
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: Decimal | None = None
        self.last_call_id = ""
        self.invocation: Invocation | None = None
        self.has_server_span = False
        """Whether its ids are final, as those of the span that OpenTelemetry has for it (OTel mode)."""
        self._route: str | None = None

    @property
    def route(self) -> str:
        """The route template, once routing has found it; a raw path never stands in, it is unbounded."""
        if self._route is not None:
            return self._route
        scope = self.scope
        found = scope.get("route")
        if found is None:
            return ""
        path = getattr(found, "path", "")
        if path and "app_root_path" in scope:
            path = scope["root_path"][len(scope["app_root_path"]) :] + path
        return clean_text(path)

    def follow(self, other: RequestContext, parent_span_id: str) -> None:
        """Become a part of another request's trace, below one of its spans."""
        self.trace_id, self.trace_flags, self.trace_state = other.trace_id, other.trace_flags, other.trace_state
        self.parent_span_id = parent_span_id

    def name_route(self, route: str) -> None:
        """Say the route, where no router finds one."""
        self._route = route

    def let_go_of_scope(self) -> str:
        """The route, which is final; a context that is held longer than its request must not hold the app's state."""
        self._route = route = self.route
        self.scope = _NO_SCOPE
        return route

    @property
    def spent_usd(self) -> Decimal:
        """Cost of the request's model calls that have ended and have a price; 0 where there is none."""
        return self.cost_usd or Decimal(0)

    @property
    def spend_left_usd(self) -> Decimal | None:
        """What the `spend_limit`s around this code leave to be spent; None where there is none."""
        from tollmeter.instrumentation.spend import spend_left_usd

        return spend_left_usd()

    def add_call(self, call_id: str, tokens: tuple[int | None, int | None], cost_usd: Decimal | None) -> None:
        """Sum a finished model call; provisional, since a call may outlive its request."""
        self.last_call_id = call_id
        self.calls += 1
        self.input_tokens += tokens[0] or 0
        self.output_tokens += tokens[1] or 0
        if cost_usd is not None:
            self.cost_usd = cost_usd if self.cost_usd is None else self.cost_usd + cost_usd

    def add_step(self, found: Step) -> None:
        """Keep a step, or count it once the cap is reached."""
        if len(self.steps) < self.recorder.settings.max_steps:
            self.steps.append(found)
        else:
            self.steps_dropped += 1

    def elapsed_ms(self, until: int | None = None) -> float:
        """Milliseconds since the request began."""
        return ((until or time.perf_counter_ns()) - self.started) / 1e6


def current_request() -> RequestContext | None:
    """The request being served here, or None outside of one.

    Applications want of it `request_id`, `trace_id`, `last_call_id` (for `evaluate`), `spent_usd` and `spend_left_usd`.
    """
    return _current.get()


def parent_span_id(context: RequestContext | None) -> str:
    """The span that a call made here belongs under: the innermost step, else the request."""
    return _parent_span.get() or (context.span_id if context else "")


Entered = tuple[Token[RequestContext | None], str]


def enter(context: RequestContext) -> Entered:
    """Make a request current; a step of an outer request does not leak into it."""
    parent = _parent_span.get()
    if parent:
        _parent_span.set("")
    return _current.set(context), parent


def leave(entered: Entered) -> None:
    """Undo `enter`."""
    token, parent = entered
    if parent:
        _parent_span.set(parent)
    try:
        _current.reset(token)
    except ValueError:  # left in another context than it was entered in, as async generators do
        _current.set(None)


@guarded(default=None)
def annotate(*, tags: dict[str, object] | None = None, **fields: object) -> None:
    """Attribute the current request, and its model calls from here on.

    Fields: user_id, tenant_id, team, feature, session_id, prompt_name, prompt_version, experiment, variant; anything
    else belongs in `tags`. Never raises: a field that does not exist, or a call outside of a request, is counted.
    """
    context = _current.get()
    if context is None:
        losses.add("annotate_outside_request")
        return
    for name, value in fields.items():
        if name in ATTRIBUTION_FIELDS:
            context.attribution[name] = clean_text(value)
        else:
            losses.add("annotate_unknown_field")
    for key, value in (tags or {}).items():
        if len(context.tags) < MAX_TAGS or key in context.tags:
            context.tags[clean_name(key)] = clean_text(value)
        else:
            losses.add("tags_over_cap")


class step:  # noqa: N801  reads as a statement: with step("retrieve"):
    """Name a part of the request: `with step("retrieve"): …`; steps nest, and model calls inside belong to them."""

    __slots__ = ("_context", "_name", "_otel", "_parent", "_span_id", "_started", "_token")

    def __init__(self, name: str) -> None:
        self._name = clean_name(name)

    def __enter__(self) -> Self:
        self._context = _current.get()
        self._parent = parent_span_id(self._context)
        self._otel = self._context.recorder.tracing.start_step(self._name) if self._context else None
        self._span_id = self._otel.span_id if self._otel else new_span_id()
        if self._otel and self._otel.parent_span_id:
            self._parent = self._otel.parent_span_id
        self._token = _parent_span.set(self._span_id)
        self._started = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish(clean_name(kind.__name__) if kind else "")

    @guarded(default=None)
    def _finish(self, error_type: str) -> None:
        now = time.perf_counter_ns()
        try:
            _parent_span.reset(self._token)
        except ValueError:  # left in another context than it was entered in, as async generators do
            _parent_span.set("")
        if self._otel:
            self._otel.end(error_type)
        if self._context is not None:
            self._context.add_step(
                Step(
                    name=self._name,
                    start_ms=max(0.0, self._context.elapsed_ms(self._started)),
                    duration_ms=(now - self._started) / 1e6,
                    span_id=self._span_id,
                    parent_span_id=self._parent,
                    error_type=error_type,
                )
            )
