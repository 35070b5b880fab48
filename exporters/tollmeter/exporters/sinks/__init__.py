"""The sinks, by name: one file each, opened only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tollmeter.exporters.sinks.base import Sink
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings


def _raw(home: Home, settings: Settings) -> Sink:
    del settings
    from tollmeter.exporters.sinks.raw import RawFolder

    return RawFolder(home.raw)


def _stdout(home: Home, settings: Settings) -> Sink:
    del home, settings
    from tollmeter.exporters.sinks.stdout import StdoutLogs

    return StdoutLogs()


def _s3(home: Home, settings: Settings) -> Sink:
    from tollmeter.exporters.sinks.s3 import S3Objects

    return S3Objects(settings, home)


def _firehose(home: Home, settings: Settings) -> Sink:
    del home
    from tollmeter.exporters.sinks.firehose import FirehoseStream

    return FirehoseStream(settings)


SINKS: Final[dict[str, Callable[[Home, Settings], Sink]]] = {
    "raw": _raw,
    "s3": _s3,
    "firehose": _firehose,
    "stdout": _stdout,
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
