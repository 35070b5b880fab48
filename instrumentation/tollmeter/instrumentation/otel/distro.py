"""Tollmeter under `opentelemetry-instrument`: the entry points it finds us by.

Both stand aside where another distribution of OpenTelemetry is installed and ours is not asked for by name, and where
the SDK is missing, so that Tollmeter in an environment changes nothing for those who start something else.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from tollmeter.instrumentation.modes import has_sdk

NAME: Final = "tollmeter"
DISTROS: Final = "opentelemetry_distro"
CONFIGURATORS: Final = "opentelemetry_configurator"
ASKED_BY: Final = {DISTROS: "OTEL_PYTHON_DISTRO", CONFIGURATORS: "OTEL_PYTHON_CONFIGURATOR"}


def distro() -> Any:
    """The entry point of `opentelemetry_distro`; None makes OpenTelemetry try the next."""
    if not is_wanted(DISTROS):
        return None
    from tollmeter.instrumentation.otel.sdk_setup import TollmeterDistro

    return TollmeterDistro()


def configurator() -> Any:
    """The entry point of `opentelemetry_configurator`; only the first one is tried, so another's is handed on."""
    if is_wanted(CONFIGURATORS):
        from tollmeter.instrumentation.otel.sdk_setup import TollmeterConfigurator

        return TollmeterConfigurator()  # type: ignore[no-untyped-call]
    found = others(CONFIGURATORS)
    return found[0].load()() if found else Nothing()


def others(group: str) -> list[EntryPoint]:
    """The entry points of other distributions in a group, in the order in which OpenTelemetry tries them."""
    return [found for found in entry_points(group=group) if found.name != NAME]


def is_wanted(group: str) -> bool:
    """Whether ours can run, and is asked for by name or is the only one."""
    asked = os.environ.get(ASKED_BY[group])
    return has_sdk() and (asked == NAME if asked else not others(group))


class Nothing:
    """A configurator that leaves all as it is."""

    def configure(self, **kwargs: Any) -> None:
        """Do nothing."""
