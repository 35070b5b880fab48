"""The forwarder's own events: it reports through the spool it forwards, in a folder of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tollmeter.exporters.cursor import Cursors
from tollmeter.exporters.feed import ERRORS, logger
from tollmeter.exporters.reader import OWN_SERVICE
from tollmeter.exporters.report import Standing
from tollmeter.model.events import Run, encode, utc_now
from tollmeter.model.ids import new_event_id, new_instance_id
from tollmeter.model.names import COMPONENT_FORWARD
from tollmeter.model.settings import Settings
from tollmeter.model.spool import OpenSegment, close_segment, create_segment, service_folder

_BUSY_S: Final = 10.0
_IDLE_S: Final = 60.0
_MAX_ERROR: Final = 256

Standings = Mapping[str, Standing]
"""How each sink stands, by name."""


class SelfReport:
    """Writes a `run` event for each sink: one per interval in which something happened to it, else one a minute.

    What belongs to no sink (torn lines, adopted segments) is told in a run of its own. The counts leave out the
    forwarder's own events, so that reporting never is a reason to report.
    """

    def __init__(self, spool: Path, settings: Settings, cursors: Cursors) -> None:
        self.folder = service_folder(spool, OWN_SERVICE)
        self._settings = settings
        self._cursors = cursors
        self._instance = new_instance_id()
        self._segment: OpenSegment | None = None
        self._began = self._opened = self._looked = time.monotonic()
        self._told: dict[str, float] = {}

    def tick(self, standings: Callable[[], Standings]) -> None:
        """Tell when it is time, and close the segment when it is old enough."""
        now = time.monotonic()
        if now - self._looked >= _BUSY_S:
            self._looked = now
            self.tell(standings())
        if now - self._opened >= self._settings.segment_max_age_s:
            self.close()

    def tell(self, standings: Standings) -> bool:
        """Write what was counted since the last events, and a sign of life of sinks long silent; whether there was any.

        What cannot be written stays unreported and goes with the next event.
        """
        counts = _by_sink(self._cursors.unreported())
        now = time.monotonic()
        told = False
        try:
            for sink in dict.fromkeys((*standings, *counts)):
                silent = now - self._told.get(sink, self._began) > _IDLE_S - _BUSY_S / 2
                if counts.get(sink) or (silent and sink):
                    self._tell(sink, counts.get(sink, {}), standings.get(sink))
                    told = True
        except OSError as error:
            logger.warning("tollmeter: the forwarder cannot report: %s", error)
        return told

    def close(self) -> None:
        """Close the segment, so that it can be shipped."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            close_segment(segment)
        except OSError as error:  # whoever comes next adopts it
            logger.warning("tollmeter: the forwarder's own segment stays open: %s", error)

    def _tell(self, sink: str, counts: Mapping[str, int], standing: Standing | None) -> None:
        self._append(encode(self._event(sink, counts, standing)))
        self._cursors.mark_reported({f"{sink}.{name}" if sink else name: count for name, count in counts.items()})
        self._told[sink] = time.monotonic()

    def _append(self, line: bytes) -> None:
        if self._segment is None:
            self._segment = create_segment(self.folder)
            self._opened = time.monotonic()
        if os.write(self._segment.fd, line) < len(line):
            self.close()
            raise OSError("the disk is full")

    def _event(self, sink: str, counts: Mapping[str, int], standing: Standing | None) -> Run:
        failing = ERRORS in counts or bool(standing and standing.error)
        gauges = {"waiting_bytes": standing.waiting_bytes, "held": standing.held} if standing else {}
        return Run(
            event_id=new_event_id(),
            timestamp=utc_now(),
            service=OWN_SERVICE,
            environment=self._settings.environment,
            region=self._settings.region,
            account_id=self._settings.account_id,
            instance=self._instance,
            component=COMPONENT_FORWARD,
            sink=sink,
            duration_ms=1000 * (time.monotonic() - self._told.get(sink, self._began)),
            outcome="error" if failing else "ok",
            error_type=_error_type(standing) if failing else "",
            counts=dict(counts) | {name: value for name, value in gauges.items() if value},
            lag_ms=standing.lag_ms if standing else None,
        )


def _by_sink(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, count in counts.items():
        sink, _, what = name.rpartition(".")
        found.setdefault(sink, {})[what] = count
    return found


def _error_type(standing: Standing | None) -> str:
    # The class of the error alone: its text may hold what a caller sent.
    return standing.error.partition(":")[0][:_MAX_ERROR] if standing and standing.error else "failed"
