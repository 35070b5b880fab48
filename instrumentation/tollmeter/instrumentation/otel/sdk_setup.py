"""The SDK as the `OTEL_*` settings say, with Tollmeter in it: what the distribution's entry points make."""

from __future__ import annotations

import os
from typing import Any, Final

from opentelemetry.instrumentation import distro
from opentelemetry.sdk._configuration import _OTelSDKConfigurator  # what every distribution derives from

from tollmeter.instrumentation.autoload import instrument_new_apps
from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.install import instrument
from tollmeter.instrumentation.otel.provider import sdk_provider
from tollmeter.instrumentation.otel.watching import watch
from tollmeter.model.settings import Settings

_SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
_started: Final[list[bool]] = []


class TollmeterDistro(distro.BaseDistro):  # type: ignore[misc, name-defined]  # untyped in opentelemetry-instrumentation
    """Exporters only where the environment names an endpoint; then the taps, and apps as they are made."""

    def _configure(self, **kwargs: Any) -> None:
        del kwargs
        default_exporters()
        _start()


class TollmeterConfigurator(_OTelSDKConfigurator):
    """The SDK's own set-up, watched: what its sampler drops is recorded unless the settings forbid it."""

    def _configure(self, **kwargs: Any) -> None:
        default_exporters()
        super()._configure(**kwargs)  # type: ignore[no-untyped-call]
        _watch_all()
        _start()


def default_exporters() -> None:
    """Export a signal by OTLP over HTTP where an endpoint is named and nothing else is said; the SDK would not."""
    os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    for signal in _SIGNALS:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        if any(os.environ.get(name) for name in endpoints):
            os.environ.setdefault(f"OTEL_{signal}_EXPORTER", "otlp")


@guarded(default=None)
def _watch_all() -> None:
    provider, unsampled = sdk_provider(), Settings.load().record_unsampled
    if provider is not None:
        watch(provider, "always" if unsampled == "auto" else unsampled)


@guarded(default=None)
def _start() -> None:
    if not _started:
        _started.append(True)
        instrument_new_apps()
        instrument()  # model calls outside of any app
