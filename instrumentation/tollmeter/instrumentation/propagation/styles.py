"""The styles of trace context by the name that settings know them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tollmeter.instrumentation.propagation import datadog, tracecontext, xray
from tollmeter.instrumentation.propagation.span_context import Headers, SpanContext
from tollmeter.model import names


class Style(NamedTuple):
    """One style; without its header no other of its headers is looked at."""

    header: str
    read: Callable[[Headers], SpanContext | None]
    write: Callable[[SpanContext], dict[str, str]]


STYLES: Final = {
    names.PROPAGATION_TRACECONTEXT: Style(names.HEADER_TRACEPARENT, tracecontext.read, tracecontext.write),
    names.PROPAGATION_XRAY: Style(names.HEADER_XRAY, xray.read, xray.write),
    names.PROPAGATION_DATADOG: Style(names.HEADER_DATADOG_TRACE_ID, datadog.read, datadog.write),
}


class ContextReader:
    """Finds the caller's span: the first style in the order given that tells of one."""

    def __init__(self, styles: Iterable[str]) -> None:
        self._styles = [(STYLES[name].header.encode(), STYLES[name].read) for name in styles]
        self.headers = frozenset(header for header, _ in self._styles)
        """The header of each style, without one of which there is nothing to read."""

    def read(self, headers: Headers) -> SpanContext | None:
        """The caller's span, or None; a style whose header is absent costs one look.

        >>> ContextReader(["tracecontext", "xray"]).read(
        ...     {b"traceparent": b"?", b"x-amzn-trace-id": b"Root=1-67891233-abcdef012345678912345678"}
        ... ).trace_id
        '67891233abcdef012345678912345678'
        """
        for header, read in self._styles:
            if header in headers and (found := read(headers)) is not None:
                return found
        return None
