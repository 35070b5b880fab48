"""What metrics are called outside: in CloudWatch and Datadog, by our names or by those a team has on its dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.model.errors import UnknownNameError

NAMESPACE: Final = "Tollmeter"
"""CloudWatch namespace unless a setting says otherwise."""

ABSENT: Final = "none"
"""Stands for an empty dimension: CloudWatch takes no empty one, and leaving it out would be another series."""

_DATADOG_PREFIX: Final = "tollmeter."
_UNIFIED: Final = {"environment": "env"}


def datadog_metric(name: str) -> str:
    """What Datadog calls a metric of the registry.

    >>> datadog_metric("llm.calls"), datadog_metric("tollmeter.lag_ms")
    ('tollmeter.llm.calls', 'tollmeter.lag_ms')
    """
    return name if name.startswith(_DATADOG_PREFIX) else _DATADOG_PREFIX + name


def datadog_tag(dimension: str) -> str:
    """The tag that a dimension is: `environment` is `env`, as unified service tagging has it.

    >>> datadog_tag("environment"), datadog_tag("request_model")
    ('env', 'request_model')
    """
    return _UNIFIED.get(dimension, dimension)


@dataclass(frozen=True, slots=True)
class Alias:
    """A further name of a metric: its dimensions are (name outside, field of the event)."""

    metric: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """Names under which some metrics are sent besides their own."""

    namespace: str
    cloudwatch: tuple[Alias, ...]
    datadog: tuple[Alias, ...]


PRESETS: Final = {
    "ai_platform": Preset(
        "AIplatform",
        cloudwatch=(Alias("llm.tokens", "TokensUsed", (("Model", "request_model"), ("Environment", "environment"))),),
        datadog=(
            Alias("llm.calls", "ai_platform.requests", (("model", "request_model"), ("status", "status"))),
            Alias("http.duration_ms", "ai_platform.latency", (("endpoint", "route"),)),
            Alias("llm.tokens", "ai_platform.tokens_used", (("model", "request_model"),)),
        ),
    ),
}


def preset(name: str) -> Preset | None:
    """The preset of that name; None for an empty one.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
    """
    if name and name not in PRESETS:
        raise UnknownNameError("metric preset", name, PRESETS)
    return PRESETS.get(name)
