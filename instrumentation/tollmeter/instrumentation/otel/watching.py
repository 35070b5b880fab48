"""Our span processor on a provider: one, however many apps share it, or every call and step would be doubled."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry.sdk.trace import TracerProvider

from tollmeter.instrumentation.otel.conventions import installed_emitters
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.otel.sampling import record_unsampled

_watched: Final[WeakKeyDictionary[TracerProvider, ForeignCalls]] = WeakKeyDictionary()


def watch(provider: TracerProvider, unsampled: str) -> ForeignCalls:
    """See the spans of a provider; `unsampled` (the setting) says whether those that its sampler drops as well."""
    found = _watched.get(provider)
    if found is None:
        found = _watched[provider] = ForeignCalls()
        provider.add_span_processor(found)
    # Recording what is not sampled costs; unasked it is done for the spans of those who tell of calls.
    if unsampled == "always" or (unsampled == "auto" and installed_emitters()):
        record_unsampled(provider)
    return found
