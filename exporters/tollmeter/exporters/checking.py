"""Whether a forwarder with these settings would work: asked before it is rolled out, or when it does not."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tollmeter.exporters.cursor import Cursors, cursor_file
from tollmeter.exporters.feed import Feed
from tollmeter.exporters.lock import exclusive, lock_file
from tollmeter.exporters.reader import Segment, SpoolReader
from tollmeter.exporters.shift import feed_of, left_behind
from tollmeter.exporters.sinks import open_sinks
from tollmeter.exporters.sinks.base import Probing, SegmentSink, Sink
from tollmeter.model.errors import LockedError, TollmeterError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

Level = Literal["ok", "finding"]
_MAX_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at; a `finding` stands in the way."""

    what: str
    level: Level
    text: str


def check(home: Home, settings: Settings) -> Iterator[Looked]:
    """Open every sink and say what each would do; look at the spool, the state, and what waits. Ships nothing."""
    try:
        sinks = open_sinks(home, settings)
    except TollmeterError as error:
        yield Looked("sinks", "finding", str(error))
        return
    for sink in sinks:
        yield _probed(sink)
        sink.close()
    yield from _spool(home)
    yield from _state(home, sinks)
    yield _window(settings, sinks)


def _probed(sink: Sink) -> Looked:
    if not isinstance(sink, Probing):
        return Looked(sink.name, "ok", "opens; nothing can be looked at without sending")
    try:
        return Looked(sink.name, "ok", sink.probe())
    except Exception as error:  # noqa: BLE001  whatever a sink's library raises is what stands in the way
        return Looked(sink.name, "finding", f"{type(error).__name__}: {error}")


def _spool(home: Home) -> Iterator[Looked]:
    segments = SpoolReader(home.spool).segments()
    folders = sorted({segment.folder for segment in segments})
    closed = [folder for folder in folders if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
    unreadable = [segment.path for segment in segments if not os.access(segment.path, os.R_OK)]
    for path in (*closed, *unreadable[:_MAX_NAMED]):
        advice = "share it: a setgid folder, writable by a group that both users are in"
        yield Looked("spool", "finding", f"{path} belongs to user {_owner(path)} and is not {os.getuid()}'s; {advice}")
    if not (closed or unreadable):
        size = sum(segment.size for segment in segments)
        yield Looked("spool", "ok", f"{len(segments):,} segments, {size:,} bytes, in {home.spool}")


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _state(home: Home, sinks: list[Sink]) -> Iterator[Looked]:
    try:
        with exclusive(lock_file(home)):
            cursors = Cursors(cursor_file(home))
            try:
                yield Looked("state", "ok", f"{home.state} can be written, and no forwarder works on it")
                yield from _waiting(sinks, cursors, SpoolReader(home.spool).segments())
            finally:
                cursors.close()
    except LockedError as error:
        yield Looked("state", "ok", f"{error}; it knows what waits")
    except (OSError, sqlite3.Error) as error:
        yield Looked("state", "finding", f"{home.state} cannot be written: {error}")


def _waiting(sinks: list[Sink], cursors: Cursors, segments: list[Segment]) -> Iterator[Looked]:
    theirs = [segment for segment in segments if not segment.own]
    for feed in (feed_of(sink, cursors) for sink in sinks):
        waits = left_behind([feed], [segment for segment in theirs if not _holds(feed, segment)]).get(feed.name)
        text = (
            f"{waits.lines:,} lines, {waits.size_bytes:,} bytes, of the last {waits.seconds:.1f} s"
            if waits
            else "nothing"
        )
        yield Looked(feed.name, "ok", f"waiting: {text}")


def _holds(feed: Feed, segment: Segment) -> bool:
    """A forwarder killed between storing a segment and noting it leaves one that is safe and looks as if it waited."""
    try:
        return not feed.passed(segment) and feed.holds(segment)
    except Exception:  # noqa: BLE001  a sink that cannot be asked is a finding of its own
        return False


def _window(settings: Settings, sinks: list[Sink]) -> Looked:
    durable = [sink for sink in sinks if isinstance(sink, SegmentSink) or sink.durable]
    if not durable:
        return Looked("window", "finding", f"no sink is durable: what {', '.join(settings.sinks)} miss is lost")
    waits_s = [settings.segment_max_age_s if isinstance(sink, SegmentSink) else sink.interval_s for sink in durable]
    seconds, name = min(waits_s) + settings.forward_interval_s, durable[waits_s.index(min(waits_s))].name
    return Looked(
        "window", "ok", f"a disk lost while {name} works loses the last {seconds:g} s and what is being uploaded"
    )
