"""A request takes the ids of the server span that an instrumentation gives it, whichever instrumentation that is."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import baggage, trace

from tollmeter.instrumentation.context import RequestContext, current_request
from tollmeter.instrumentation.guard import guarded, logger
from tollmeter.instrumentation.otel.open_spans import OpenSpans
from tollmeter.instrumentation.otel.span_steps import is_framework
from tollmeter.instrumentation.otel.xray_propagator import stand_in_parent
from tollmeter.instrumentation.tracing import LeanTracing

_MIDDLEWARE: Final = "OpenTelemetryMiddleware"
"""The name that OpenTelemetry's ASGI middleware and Starlette's share."""
_UNTOLD: Final = object()
"""Only the SDK's recorded spans tell their parent; of others the request's headers do."""


def continue_span(context: RequestContext, span: trace.Span, spans: OpenSpans) -> None:
    """A span is current where a request begins: the server's, around the app, or that of a caller in this process."""
    found = span.get_span_context()
    if getattr(span, "kind", None) is trace.SpanKind.SERVER or not (span.is_recording() or found.is_remote):
        adopt(context, span, spans)
    elif not context.parent_span_id:
        context.trace_id = trace.format_trace_id(found.trace_id)
        context.parent_span_id = trace.format_span_id(found.span_id)


def adopt(context: RequestContext, span: trace.Span, spans: OpenSpans) -> None:
    """Take the ids of a server span, once for each request: of two such spans the outer one is the request's."""
    found = span.get_span_context()
    if context.has_server_span or not found.is_valid or found.is_remote:
        return
    if context.recorder.tracing.mode == LeanTracing.mode:  # of another app in this process
        return
    trace_id, span_id = trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
    if span_id == context.parent_span_id:  # a caller in this process
        return
    parent: Any = getattr(span, "parent", _UNTOLD)
    if parent is not _UNTOLD:
        context.parent_span_id = _told(parent)
    elif trace_id != context.trace_id:
        context.parent_span_id = ""
    context.trace_id, context.span_id = trace_id, span_id
    context.trace_flags = f"{int(found.trace_flags):02x}"
    context.has_server_span = True
    spans.remember(found.trace_id, context)
    spans.tell(found.span_id)


def _told(parent: trace.SpanContext | None) -> str:
    if parent is None or (parent.is_remote and parent.span_id == stand_in_parent(parent.trace_id)):
        return ""
    return trace.format_span_id(parent.span_id)


class AdoptSpan:
    """Innermost ASGI middleware: takes over what OpenTelemetry knows of the request by now.

    A server span that is recorded was adopted when it began. One that is dropped, or of a provider that is not the
    SDK's, is seen only where it is current; baggage may have been set by any middleware.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Adopt, then step aside."""
        _take_over()
        await self.app(scope, receive, send)


@guarded(default=None)
def _take_over() -> None:
    context = current_request()
    if context is None:
        return
    span = trace.get_current_span()
    scope = getattr(span, "instrumentation_scope", None)
    if not span.is_recording() or scope is None or is_framework(scope.name):
        context.recorder.tracing.adopt(context)
    context.has_server_span = True  # a server's span that begins further in is not this request's
    take_baggage(context)


def take_baggage(context: RequestContext) -> None:
    """Attribute a request by the baggage of OpenTelemetry's context, where no header has."""
    attributor = context.recorder.attributor
    if attributor.wants_baggage and (members := baggage.get_all()):
        attributor.add_baggage(context.attribution, members)


def prepare(app: Any) -> None:
    """See to it that an app of Starlette's that has not begun to serve has a server span, and that it is adopted.

    FastAPI from 0.165 on makes server spans itself, and its users know them: nothing is added there.
    """
    stack = getattr(app, "user_middleware", None)
    if not isinstance(stack, list) or getattr(app, "middleware_stack", None) is not None:
        return
    _ensure_server_span(app, stack)
    from starlette.middleware import Middleware as Entry

    stack.append(Entry(AdoptSpan))  # add_middleware() puts whatever comes later further out


def _ensure_server_span(app: Any, stack: list[Any]) -> None:
    if not _is_fastapi(app) or hasattr(app, "_native_telemetry"):
        return
    if getattr(app, "_is_instrumented_by_opentelemetry", False) or any(e.cls.__name__ == _MIDDLEWARE for e in stack):
        return
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ModuleNotFoundError:
        logger.warning("tollmeter: requests have no server span; run pip install 'tollmeter[otel]'")
        return
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])


def _is_fastapi(app: Any) -> bool:
    return any(cls.__module__ == "fastapi.applications" for cls in type(app).__mro__)


def quieten(app: object) -> None:
    """Leave FastAPI's own spans at the server's: those of its inner workings triple the cost, and nobody asked."""
    telemetry = getattr(app, "_telemetry", None)
    if isinstance(telemetry, dict):
        telemetry["operation_spans"] = False
