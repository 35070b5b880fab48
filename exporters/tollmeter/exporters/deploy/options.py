"""What a deployment is told, and what it carries over from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.exporters.sinks import SINKS
from tollmeter.exporters.sinks.s3 import parse_url
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.settings import ROWS, Settings

_OF_SERVICE: Final = ("environment", "team", "segment_max_bytes", "segment_max_age_s", "spool_max_bytes", "fdatasync")
_OF_FORWARDER: Final = (
    "raw_url",
    "kms_key",
    "firehose_stream",
    "cloudwatch_namespace",
    "cloudwatch_log_group",
    "cloudwatch_retention_days",
    "metric_preset",
    "metric_interval_s",
    "dimension_limit",
    "sink_max_lag_s",
    "trace_ratio",
    "trace_slow_ms",
    "xray_route",
    "otlp_endpoint",
    "statsd_address",
    "datadog_otlp_endpoint",
    "datadog_log_ids",
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A service, the sinks of its forwarder, and the settings both run with.

    Raises:
        UnknownNameError: there is no sink of that name.
        SettingError: a sink lacks what its permissions name.
    """

    settings: Settings

    def __post_init__(self) -> None:
        for name in self.settings.sinks:
            if name not in SINKS:
                raise UnknownNameError("sink", name, SINKS)
        if "firehose" in self.settings.sinks and not self.settings.firehose_stream:
            raise SettingError("firehose_stream", "", "the name of a delivery stream")
        if "s3" in self.settings.sinks:
            parse_url(self.settings.raw_url)

    @property
    def service(self) -> str:
        """Name of the service, `service` where none is given."""
        return self.settings.service or "service"

    @property
    def bucket(self) -> str:
        """The bucket of the raw objects.

        Raises:
            SettingError: none is given.
        """
        return parse_url(self.settings.raw_url)[0]

    @property
    def prefix(self) -> str:
        """The prefix of the raw objects, with its slash; empty where they lie at the top."""
        return parse_url(self.settings.raw_url)[1]

    @property
    def lake_url(self) -> str:
        """Where the lake is: as the settings say, else `lake/` in the bucket of the raw objects.

        Raises:
            SettingError: it is not on S3, and there is no bucket.
        """
        return self.settings.lake_url or f"s3://{self.bucket}/lake"

    def service_env(self) -> dict[str, str]:
        """What the service's environment gets besides its home and name."""
        return self.told(_OF_SERVICE)

    def forwarder_env(self) -> dict[str, str]:
        """What the forwarder's environment gets besides its home and sinks."""
        return self.told(("environment", *_OF_FORWARDER))

    def told(self, names: tuple[str, ...]) -> dict[str, str]:
        """Some settings as environment variables, those alone that are not the default."""
        values = {name: getattr(self.settings, name) for name in names}
        return {ROWS[name].env_names[0]: _text(value) for name, value in values.items() if value != ROWS[name].default}


def _text(value: object) -> str:
    """A value as the environment has it."""
    if isinstance(value, dict):
        return ",".join(f"{name}={each}" for name, each in value.items())
    return ",".join(value) if isinstance(value, tuple) else str(value)
