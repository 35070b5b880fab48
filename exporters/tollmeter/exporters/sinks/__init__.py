"""The sinks, by name: one file each, opened only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tollmeter.exporters.sinks.base import Sink
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.home import Home


def _raw(home: Home) -> Sink:
    from tollmeter.exporters.sinks.raw import RawFolder

    return RawFolder(home.raw)


def _stdout(home: Home) -> Sink:
    del home
    from tollmeter.exporters.sinks.stdout import StdoutLogs

    return StdoutLogs()


SINKS: Final[dict[str, Callable[[Home], Sink]]] = {"raw": _raw, "stdout": _stdout}
"""How each sink is opened; adding one is a file here and a row in this table."""


def open_sinks(names: Iterable[str], home: Home) -> list[Sink]:
    """The sinks of these names, each once, in their order.

    Raises:
        UnknownNameError: there is no sink of that name; the message lists near matches.
        SettingError: no name is given.
        MissingExtraError: a sink needs a package that is not installed.
    """
    chosen = list(dict.fromkeys(names))
    if not chosen:
        raise SettingError("sinks", "", f"at least one of {', '.join(sorted(SINKS))}")
    for name in chosen:
        if name not in SINKS:
            raise UnknownNameError("sink", name, SINKS)
    return [SINKS[name](home) for name in chosen]
