"""What calls carry to the hosts that the settings allow: their trace, and attribution as baggage. Nothing to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.attribution import check_fields
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.propagation import baggage
from tollmeter.instrumentation.propagation.styles import STYLES
from tollmeter.model import names
from tollmeter.model.errors import SettingError

if TYPE_CHECKING:
    from tollmeter.instrumentation.propagation.span_context import SpanContext
    from tollmeter.model.settings import Settings

Own = Callable[[str], Any]
"""Looks up a header that the application itself sends: text or bytes, None where it sends none."""

LOSS_BAGGAGE: Final = "baggage_over_limit"
_LEADERS: Final = {
    names.HEADER_TRACESTATE: names.HEADER_TRACEPARENT,
    names.HEADER_DATADOG_PARENT_ID: names.HEADER_DATADOG_TRACE_ID,
    names.HEADER_DATADOG_PRIORITY: names.HEADER_DATADOG_TRACE_ID,
    names.HEADER_DATADOG_TAGS: names.HEADER_DATADOG_TRACE_ID,
}
"""Headers that say nothing without another: where the application sends that one, its word stands."""


class Outgoing:
    """Which hosts are told, and what.

    Raises:
        SettingError: a field of `propagate_baggage` does not exist, or its key is no token.
    """

    def __init__(self, settings: Settings) -> None:
        check_fields("propagate_baggage", settings.propagate_baggage)
        for key in settings.propagate_baggage.values():
            if not baggage.KEY_RULE.fullmatch(key):
                raise SettingError("propagate_baggage", key, "a key of letters, digits and !#$%&'*+-.^_`|~")
        hosts = settings.propagate_hosts
        self.is_silent = not hosts
        """No host is told anything."""
        self._all = "*" in hosts
        self._hosts = frozenset(hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._writers = [STYLES[name].write for name in settings.propagate]
        self._baggage = settings.propagate_baggage

    def allows(self, host: str) -> bool:
        """Whether a host, in lower case, is one of those named."""
        return self._all or host in self._hosts or host.endswith(self._suffixes)

    def context_headers(self, span: SpanContext) -> dict[str, str]:
        """The headers that tell of a span, in every style that is sent."""
        return {name: value for write in self._writers for name, value in write(span).items()}

    def headers(self, told: Mapping[str, str], attribution: Mapping[str, Any], own: Own) -> dict[str, str]:
        """Headers to set: of those `told` what the application does not send itself, and baggage behind its own."""
        found = {
            name: value
            for name, value in told.items()
            if name != names.HEADER_BAGGAGE and own(_LEADERS.get(name, name)) is None
        }
        if self._baggage or names.HEADER_BAGGAGE in told:
            found |= self._merged(told.get(names.HEADER_BAGGAGE, ""), attribution, own)
        return found

    def _merged(self, told: str, attribution: Mapping[str, Any], own: Own) -> dict[str, str]:
        before = ",".join(text for text in (_text(own(names.HEADER_BAGGAGE)), told) if text)
        members = [(key, str(attribution[field])) for field, key in self._baggage.items() if attribution.get(field)]
        header, left = baggage.merged(before, members)
        if left:
            losses.add(LOSS_BAGGAGE, left)
        return {names.HEADER_BAGGAGE: header} if header else {}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
