"""Where events go: a spool segment on disk, or stdout where no disk can be written."""

from __future__ import annotations

import os
import threading
import time
import weakref
from pathlib import Path
from typing import Final, Protocol

from tollmeter.instrumentation.guard import guarded, logger, losses
from tollmeter.instrumentation.lambda_sandbox import in_lambda
from tollmeter.model.events import decode
from tollmeter.model.settings import Settings
from tollmeter.model.spool import OpenSegment, close_segment, create_segment, make_folder

LOSS_SPOOL_FULL: Final = "spool_full"
LOSS_SHORT_WRITE: Final = "short_write"
LOSS_SPOOL_UNAVAILABLE: Final = "spool_unavailable"
LOSS_STDOUT: Final = "stdout_write"
_RETRY_S: Final = 1.0


class Writer(Protocol):
    """Takes whole lines; the shipped double is `MemoryWriter`."""

    def append(self, line: bytes) -> bool:
        """Append one line; False when it was lost (and counted)."""
        ...

    def close(self) -> None:
        """Let go of what is open; appending again opens anew."""
        ...


class MemoryWriter:
    """Keeps lines in a list: for tests, ours and yours."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, line: bytes) -> bool:
        """Keep the line."""
        self.lines.append(line)
        return True

    def close(self) -> None:
        """Nothing to let go of."""


# A pipe takes 4 kB in one piece: longer lines of two threads would run into each other.
_stdout: Final = threading.RLock()
os.register_at_fork(before=_stdout.acquire, after_in_parent=_stdout.release, after_in_child=_stdout.release)


class StdoutWriter:
    """Writes each event as one line to standard output."""

    def append(self, line: bytes) -> bool:
        """Write the whole line or count it as lost."""
        try:
            with _stdout:
                whole = os.write(1, line) == len(line)
        except OSError:
            whole = False
        if not whole:
            losses.add(LOSS_STDOUT)
        return whole

    def close(self) -> None:
        """Nothing to let go of."""


class MetricLinesWriter(StdoutWriter):
    """Writes each event as one line that is its own CloudWatch metrics too, so that these need no forwarder."""

    def __init__(self, settings: Settings) -> None:
        """Compile the metrics of each kind of event.

        Raises:
            UnknownNameError: there is no such metric preset.
        """
        from tollmeter.model.emf import EventLines

        self._lines = EventLines(settings)

    def append(self, line: bytes) -> bool:
        """Write the line with its metrics, or as it is where that fails."""
        return super().append(self._with_metrics(line) or line)

    @guarded(default=None)
    def _with_metrics(self, line: bytes) -> bytes:
        return self._lines.encode(decode(line))


class SpoolWriter:
    """Appends to a locked segment with one `write(2)` per event; rotates by size and age; bounded on disk.

    Safe for threads. After a fork the child lets go of the parent's segment and opens its own.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._segment_max_bytes = settings.segment_max_bytes
        self._segment_max_age_s = settings.segment_max_age_s
        self._spool_max_bytes = settings.spool_max_bytes
        self._fdatasync = settings.fdatasync
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._segment: OpenSegment | None = None
        self._fd = -1
        self._bytes = 0
        self._opened = 0.0
        self._room = 0
        self._checked = float("-inf")
        self._dirty = False
        self._keeper: threading.Thread | None = None

    def append(self, line: bytes) -> bool:
        """Append one line; False when it was lost, which is counted by reason."""
        with self._lock:
            if self._segment is None and not self._open():
                losses.add(LOSS_SPOOL_UNAVAILABLE)
                return False
            size = len(line)
            if size > self._room and not self._has_room(size):
                losses.add(LOSS_SPOOL_FULL)
                return False
            try:
                written = os.write(self._fd, line)
            except OSError:
                written = 0
            self._bytes += written
            self._room -= written
            self._dirty = True
            if written < size:
                self._cut()
                return False
            if self._bytes >= self._segment_max_bytes or time.monotonic() - self._opened >= self._segment_max_age_s:
                self._rotate()
            return True

    def close(self) -> None:
        """Close the segment, so that a forwarder may take it at once."""
        with self._lock:
            self._rotate()

    def release_in_child(self) -> None:
        """Forget the parent's segment after a fork: its lock would outlive the parent in this descriptor."""
        segment = self._segment
        self._reset()
        if segment is not None:
            os.close(segment.fd)

    def _cut(self) -> None:
        # A full disk: rotate, which cuts the fragment, so that it cannot glue to the next event.
        losses.add(LOSS_SHORT_WRITE)
        self._rotate()
        self._checked = time.monotonic()

    def _open(self) -> bool:
        now = time.monotonic()
        if now - self._checked < _RETRY_S and self._room <= 0:
            return False
        self._checked = now
        try:
            self._segment = create_segment(self.folder)
        except OSError as error:
            losses.fault("open spool segment", error)
            self._room = 0
            return False
        self._fd, self._bytes, self._opened = self._segment.fd, 0, now
        self._room = self._spool_max_bytes - _used_bytes(self.folder)
        self._start_keeper()
        return True

    def _has_room(self, wanted: int) -> bool:
        now = time.monotonic()
        if now - self._checked >= _RETRY_S:
            self._checked = now
            self._room = self._spool_max_bytes - _used_bytes(self.folder)
        return wanted <= self._room

    def _rotate(self) -> None:
        segment, self._segment, self._fd = self._segment, None, -1
        if segment is None:
            return
        try:
            if self._fdatasync:
                os.fdatasync(segment.fd)
            close_segment(segment)
        except OSError as error:
            losses.fault("close spool segment", error)

    def _start_keeper(self) -> None:
        # One idle thread per busy spell: a segment must be closed by age even when no further event comes.
        if self._keeper is None or not self._keeper.is_alive():
            self._keeper = threading.Thread(
                target=_keep, args=(weakref.ref(self),), name="tollmeter-spool", daemon=True
            )
            self._keeper.start()

    def tick(self) -> float | None:
        """Rotate by age and sync if asked for; returns seconds until the next tick, None when nothing is open."""
        with self._lock:
            if self._segment is None:
                self._keeper = None
                return None
            if self._fdatasync and self._dirty:
                self._dirty = False
                os.fdatasync(self._segment.fd)
            left = self._segment_max_age_s - (time.monotonic() - self._opened)
            if left <= 0:
                self._rotate()
                self._keeper = None
                return None
            return min(left, 1.0) if self._fdatasync else left


def _keep(reference: weakref.ref[SpoolWriter]) -> None:
    pause: float | None = 0.0
    while pause is not None:
        time.sleep(pause)
        writer = reference()
        if writer is None:
            return
        try:
            pause = writer.tick()
        except OSError as error:
            losses.fault("spool keeper", error)
            pause = _RETRY_S
        del writer


def _used_bytes(folder: Path) -> int:
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_size
            except FileNotFoundError:  # the forwarder deleted it meanwhile
                continue
    return total


_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()


def _release_in_child() -> None:
    for writer in list(_writers):
        writer.release_in_child()


os.register_at_fork(after_in_child=_release_in_child)


def choose_writer(folder: Path, settings: Settings) -> tuple[Writer, str]:
    """The writer by setting, or by what the disk allows; with it, in words, where events go and why."""
    if settings.route == "stdout":
        return _stdout_writer(settings), "stdout, as TOLLMETER_ROUTE says"
    if settings.route == "auto" and in_lambda():
        return _stdout_writer(settings), "stdout, because no one reads the disk of a Lambda function"
    try:
        make_folder(folder)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        writable, why = False, f"{folder} cannot be made: {error.strerror}"
    else:
        why = f"{folder} cannot be written"
    if writable or settings.route == "file":
        return SpoolWriter(folder, settings), f"the spool at {folder}"
    logger.warning("tollmeter: events go to stdout, because %s", why)
    return _stdout_writer(settings), f"stdout, because {why}"


def _stdout_writer(settings: Settings) -> StdoutWriter:
    wanted = settings.emf == "always" or (settings.emf == "auto" and in_lambda())
    return MetricLinesWriter(settings) if wanted else StdoutWriter()
