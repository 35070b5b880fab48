"""The sinks, by name: one file each, opened only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tollmeter.exporters.derive.dimensions import DimensionBudget
from tollmeter.exporters.sinks.base import Sink
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings


def _raw(home: Home, settings: Settings) -> Sink:
    del settings
    from tollmeter.exporters.sinks.raw import RawFolder

    return RawFolder(home.raw)


def _stdout(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.stdout import StdoutLogs

    return StdoutLogs(datadog_ids=settings.datadog_log_ids)


def _s3(home: Home, settings: Settings) -> Sink:
    from tollmeter.exporters.sinks.s3 import S3Objects

    return S3Objects(settings, home)


def _firehose(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.firehose import FirehoseStream

    return FirehoseStream(settings)


def _cloudwatch_logs(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.cloudwatch_logs import CloudWatchLogs

    return CloudWatchLogs(settings)


def _cloudwatch_metrics(home: Home, settings: Settings) -> Sink:
    from tollmeter.exporters.sinks.cloudwatch_metrics import CloudWatchMetrics

    return CloudWatchMetrics(settings, budget(home, settings))


def _cloudwatch_emf(home: Home, settings: Settings) -> Sink:
    from tollmeter.exporters.sinks.cloudwatch_emf import CloudWatchEmf

    return CloudWatchEmf(settings, budget(home, settings))


def _xray(home: Home, settings: Settings) -> Sink:
    del home
    if settings.xray_route == "otlp":
        from tollmeter.exporters.sinks.xray_otlp import XRaySpans

        return XRaySpans(settings)
    from tollmeter.exporters.sinks.xray import XRaySegments

    return XRaySegments(settings)


def _otlp(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.otlp import OtlpTraces

    return OtlpTraces(settings)


def _datadog_metrics(home: Home, settings: Settings) -> Sink:
    from tollmeter.exporters.sinks.datadog_metrics import DatadogMetrics

    return DatadogMetrics(settings, budget(home, settings))


def _datadog_traces(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.datadog_traces import DatadogTraces

    return DatadogTraces(settings)


def budget(home: Home, settings: Settings) -> DimensionBudget:
    """The dimension budget of the metric sinks of a home."""
    return DimensionBudget.of(settings, dimension_file(home, settings))


def dimension_file(home: Home, settings: Settings) -> Path:
    """Where the list of kept label values lies."""
    return Path(settings.dimension_file) if settings.dimension_file else home.state / "forward" / "dimensions.json"


SINKS: Final[dict[str, Callable[[Home, Settings], Sink]]] = {
    "raw": _raw,
    "s3": _s3,
    "firehose": _firehose,
    "stdout": _stdout,
    "cloudwatch_logs": _cloudwatch_logs,
    "cloudwatch_metrics": _cloudwatch_metrics,
    "cloudwatch_emf": _cloudwatch_emf,
    "xray": _xray,
    "otlp": _otlp,
    "datadog_metrics": _datadog_metrics,
    "datadog_traces": _datadog_traces,
}
"""How each sink is opened; adding one is a file here and a row in this table."""


def open_sinks(home: Home, settings: Settings) -> list[Sink]:
    """The sinks that the settings name, each once, in their order.

    Raises:
        UnknownNameError: there is no sink of that name; the message lists near matches.
        SettingError: no name is given.
        MissingExtraError: a sink needs a package that is not installed.
    """
    chosen = list(dict.fromkeys(settings.sinks))
    if not chosen:
        raise SettingError("sinks", "", f"at least one of {', '.join(sorted(SINKS))}")
    for name in chosen:
        if name not in SINKS:
            raise UnknownNameError("sink", name, SINKS)
    return [SINKS[name](home, settings) for name in chosen]
