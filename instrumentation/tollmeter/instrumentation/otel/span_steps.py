"""The application's own spans, which become steps of the request they began in."""

from __future__ import annotations

from functools import lru_cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from tollmeter.instrumentation.context import RequestContext
from tollmeter.instrumentation.otel.open_spans import OpenSpan
from tollmeter.instrumentation.text import clean_text
from tollmeter.model.events import Step
from tollmeter.model.names import EVENT_EXCEPTION, EVENT_EXCEPTION_TYPE, SCOPE_STEPS, SCOPES_OF_FRAMEWORKS


def is_own(span: ReadableSpan) -> bool:
    """Whether the application, or a step of ours, began a span, not a framework's instrumentation.

    Spans of frameworks are many (FastAPI's own are three a request) and would crowd out the application's.
    """
    scope = span.instrumentation_scope
    return scope is None or not is_framework(scope.name)


@lru_cache(maxsize=256)
def is_framework(scope: str) -> bool:
    """Whether a scope is that of an instrumentation.

    >>> is_framework("opentelemetry.instrumentation.httpx"), is_framework("fastapi"), is_framework("fastapi_app.orders")
    (True, True, False)
    """
    return any(scope == name or scope.startswith(name + ".") for name in SCOPES_OF_FRAMEWORKS)


def keep_step(span: ReadableSpan, opened: OpenSpan) -> None:
    """Add an ended span to its request, unless it is the server's, a framework's, or of a step that adds itself."""
    context, scope = opened.context, span.instrumentation_scope
    if context is None or span.kind is trace.SpanKind.SERVER or not is_own(span):
        return
    if scope is not None and scope.name == SCOPE_STEPS:
        return
    context.add_step(_step(span, opened, context))


def _step(span: ReadableSpan, opened: OpenSpan, context: RequestContext) -> Step:
    started, ended = span.start_time or 0, span.end_time or 0
    found = span.get_span_context()
    assert found is not None  # of a recording span
    told = opened.parent.told_in(context) if opened.parent else 0
    return Step(
        name=clean_text(span.name),
        start_ms=max(0.0, started / 1e6 - context.started_at.timestamp() * 1e3),
        duration_ms=max(0.0, (ended - started) / 1e6),
        span_id=trace.format_span_id(found.span_id),
        parent_span_id=trace.format_span_id(told) if told else context.span_id,
        error_type=_error_type(span),
    )


def _error_type(span: ReadableSpan) -> str:
    for event in span.events:
        if event.name == EVENT_EXCEPTION and event.attributes:
            return clean_text(event.attributes.get(EVENT_EXCEPTION_TYPE))
    return "error" if span.status.status_code is trace.StatusCode.ERROR else ""
