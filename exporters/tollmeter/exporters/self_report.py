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
from tollmeter.model.events import Run, encode, utc_now
from tollmeter.model.ids import new_event_id, new_instance_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import OpenSegment, close_segment, create_segment, service_folder

COMPONENT: Final = "forward"
_BUSY_S: Final = 10.0
_IDLE_S: Final = 60.0


class SelfReport:
    """Writes one `run` event per interval in which something happened, and one a minute when nothing does.

    The counts leave out the forwarder's own events, so that reporting never is a reason to report.
    """

    def __init__(self, spool: Path, settings: Settings, cursors: Cursors) -> None:
        self.folder = service_folder(spool, OWN_SERVICE)
        self._settings = settings
        self._cursors = cursors
        self._instance = new_instance_id()
        self._segment: OpenSegment | None = None
        self._opened = self._told = time.monotonic()

    def tick(self, lag_ms: Callable[[], Mapping[str, float]]) -> None:
        """Tell when it is time, and close the segment when it is old enough."""
        now = time.monotonic()
        if now - self._told >= _BUSY_S:
            self.tell(lag_ms(), force=now - self._told >= _IDLE_S)
        if now - self._opened >= self._settings.segment_max_age_s:
            self.close()

    def tell(self, lag_ms: Mapping[str, float], *, force: bool) -> bool:
        """Write what was counted since the last event; nothing, and False, when that is nothing, unless forced."""
        counts = self._cursors.unreported()
        if not (counts or force):
            return False
        try:
            self._append(encode(self._event(counts, lag_ms)))
        except OSError as error:  # the counts stay unreported and go with the next event
            logger.warning("tollmeter: the forwarder cannot report: %s", error)
            return False
        self._cursors.mark_reported(counts)
        self._told = time.monotonic()
        return True

    def close(self) -> None:
        """Close the segment, so that it can be shipped."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            close_segment(segment)
        except OSError as error:  # whoever comes next adopts it
            logger.warning("tollmeter: the forwarder's own segment stays open: %s", error)

    def _append(self, line: bytes) -> None:
        if self._segment is None:
            self._segment = create_segment(self.folder)
            self._opened = time.monotonic()
        if os.write(self._segment.fd, line) < len(line):
            self.close()
            raise OSError("the disk is full")

    def _event(self, counts: Mapping[str, int], lag_ms: Mapping[str, float]) -> Run:
        failing = [name.removesuffix(f".{ERRORS}") for name in sorted(counts) if name.endswith(f".{ERRORS}")]
        return Run(
            event_id=new_event_id(),
            timestamp=utc_now(),
            service=OWN_SERVICE,
            environment=self._settings.environment,
            region=self._settings.region,
            account_id=self._settings.account_id,
            instance=self._instance,
            component=COMPONENT,
            duration_ms=1000 * (time.monotonic() - self._told),
            outcome="error" if failing else "ok",
            error_type=f"sink {', '.join(failing)}" if failing else "",
            counts=dict(counts),
            lag_ms=max(lag_ms.values(), default=0.0),
        )
