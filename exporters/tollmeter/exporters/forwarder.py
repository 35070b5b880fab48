"""The forwarder: takes over what dead writers left, feeds every sink at its own pace, deletes what all have passed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Event
from typing import Final

from tollmeter.exporters.cursor import Cursors, cursor_file
from tollmeter.exporters.feed import logger
from tollmeter.exporters.health import served
from tollmeter.exporters.lock import exclusive, lock_file
from tollmeter.exporters.reader import SpoolReader
from tollmeter.exporters.report import Report
from tollmeter.exporters.shift import Shift
from tollmeter.exporters.sinks import open_sinks
from tollmeter.exporters.sinks.base import Sink
from tollmeter.model.errors import TransientError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

_PAUSE_AFTER_FAULT_S: Final = 5.0
_LAST_PAUSE_S: Final = 0.2
_LAST_REPORT_S: Final = 3.0


class Forwarder:
    """Ships the spool of one home to the sinks the settings name, or to those given.

    Raises:
        SettingError: no sink is named.
        UnknownNameError: there is no sink of that name.
        MissingExtraError: a sink needs a package that is not installed.
    """

    def __init__(self, home: Home, settings: Settings, *, sinks: Sequence[Sink] | None = None) -> None:
        self._home = home
        self._settings = settings
        self._sinks = list(sinks) if sinks is not None else open_sinks(home, settings)
        self._reader = SpoolReader(home.spool)

    def run_once(self, *, final: bool = False) -> Report:
        """Forward until nothing is left that can be forwarded now; with `final`, only segments that are closed.

        Raises:
            LockedError: another forwarder works on this home.
            TransientError: the spool cannot be listed, or the state not be written.
        """
        with self._shift() as shift:
            shift.drain(closed_only=final, hurry=True)
            if shift.self_report.tell(shift.standings()):
                shift.self_report.close()
                shift.drain(closed_only=final, hurry=True)
            return shift.end()

    def run(self, stop: Event, *, grace_s: float | None = None, hand_over: bool = False) -> Report:
        """Forward until `stop` is set, then on until all is passed and no service writes, or `grace_s` are over.

        The grace is the setting `forward_grace_s` unless it is given. With `hand_over` it does not wait for services
        that still write: another forwarder stands by.

        Raises:
            LockedError: another forwarder works on this home.
            TransientError: the health port cannot be bound.
        """
        with self._shift() as shift, self._health(shift):
            while not stop.is_set():
                stop.wait(self._step(shift, stop))
            grace_s = self._settings.forward_grace_s if grace_s is None else grace_s
            self._wind_down(shift, grace_s, hand_over=hand_over)
            return shift.end()

    def _health(self, shift: Shift) -> AbstractContextManager[object]:
        port = self._settings.health_port
        return served(shift.health, self._settings.health_host, port) if port else nullcontext()

    def _wind_down(self, shift: Shift, grace_s: float, *, hand_over: bool) -> None:
        deadline = time.monotonic() + grace_s
        while True:
            self._step(shift, deadline=deadline)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or shift.done(hand_over=hand_over):
                break
            time.sleep(min(left_s, _LAST_PAUSE_S))
        if shift.self_report.tell(shift.standings()):
            shift.self_report.close()
            self._step(shift, deadline=time.monotonic() + _LAST_REPORT_S)

    def _step(self, shift: Shift, stop: Event | None = None, deadline: float = float("inf")) -> float:
        patience_s = self._settings.forward_interval_s
        try:
            shift.drain(stop=stop, deadline=deadline, patience_s=patience_s, hurry=stop is None)
            shift.self_report.tick(shift.standings)
        except (OSError, sqlite3.Error) as error:  # a full disk, a folder out of reach: it may pass
            logger.warning("tollmeter: forwarding pauses: %s: %s", type(error).__name__, error)
            return _PAUSE_AFTER_FAULT_S
        return self._settings.forward_interval_s

    @contextmanager
    def _shift(self) -> Iterator[Shift]:
        with _transient(), ExitStack() as stack:
            stack.enter_context(exclusive(lock_file(self._home)))
            cursors = Cursors(cursor_file(self._home))
            stack.callback(cursors.close)
            for sink in self._sinks:
                stack.callback(sink.close)
            shift = Shift(self._home, self._settings, self._reader, cursors, self._sinks)
            stack.callback(shift.self_report.close)
            stack.callback(shift.stop)
            yield shift


@contextmanager
def _transient() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise TransientError(f"the forwarder cannot work: {error}") from error
