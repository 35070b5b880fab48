"""What the forwarder remembers between runs: where each sink stands, what is under way, what was counted.

One SQLite file, so that a position and the counts that belong to it change together or not at all. Every commit
survives the death of the process. After a power failure the last commits may be undone (WAL, synchronous=NORMAL): the
raw folder then finds its objects by name, a lossy sink sends those lines once more.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final

from tollmeter.exporters.lock import FOLDER
from tollmeter.model.home import Home

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS positions (
  sink TEXT, segment TEXT, offset INTEGER NOT NULL, PRIMARY KEY (sink, segment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS in_flight (
  sink TEXT PRIMARY KEY, segment TEXT NOT NULL, offset INTEGER NOT NULL, lines INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (sink TEXT PRIMARY KEY, lines INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intents (
  sink TEXT, segment TEXT, key TEXT NOT NULL, PRIMARY KEY (sink, segment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (born REAL NOT NULL);
CREATE TABLE IF NOT EXISTS counts (
  name TEXT PRIMARY KEY, total INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""
_HOLD: Final = "INSERT INTO held VALUES (?, ?) ON CONFLICT (sink) DO UPDATE SET lines = lines + excluded.lines"
_SET_POSITION: Final = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)"
_ADD: Final = (
    "INSERT INTO counts (name, total) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET total = total + excluded.total"
)

ACKNOWLEDGED: Final = "acknowledged"
DROPPED: Final = "dropped"
IN_DOUBT: Final = "in_doubt"
PRODUCED: Final = "produced"


def cursor_file(home: Home) -> Path:
    """Where a home keeps them."""
    return home.state / FOLDER / "cursors.sqlite"


class Cursors:
    """Positions, intents and counts, durable; a position is a segment and the offset behind what the sink has passed.

    Only the holder of the forwarder's lock opens it; its feeds may use it from threads of their own. What was under
    way or held in memory when the last holder died is counted as in doubt and passed, since nobody knows whether it
    arrived.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = RLock()
        self._db = _opened(path)
        self._in_flight = {sink for (sink,) in self._db.execute("SELECT sink FROM in_flight").fetchall()}
        self._offsets: dict[tuple[str, str], int] = {}
        for sink, segment, offset in self._db.execute("SELECT * FROM positions"):
            self._offsets[sink, segment] = offset
        self._intents: dict[tuple[str, str], str] = {
            (sink, segment): key for sink, segment, key in self._db.execute("SELECT * FROM intents")
        }
        self.born = self._since()
        for sink in list(self._in_flight):
            self.recover(sink)
        for sink, lines in self.held().items():
            self.release(sink, -lines, {IN_DOUBT: lines})

    def _since(self) -> float:
        """When the notes began, in seconds since the epoch; later where they were lost."""
        with self._transaction():
            self._db.execute("INSERT INTO notes SELECT ? WHERE NOT EXISTS (SELECT 1 FROM notes)", (time.time(),))
            return float(self._db.execute("SELECT born FROM notes").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def offset(self, sink: str, segment: str) -> int:
        """Bytes of the segment the sink has passed; 0 for one it has not seen."""
        return self._offsets.get((sink, segment), 0)

    def begin(self, sink: str, segment: str, offset: int, lines: int) -> None:
        """Note that `lines` lines ending at `offset` are about to be sent."""
        with self._lock:
            self._in_flight.add(sink)
            self._db.execute("INSERT OR REPLACE INTO in_flight VALUES (?, ?, ?, ?)", (sink, segment, offset, lines))

    def abandon(self, sink: str) -> None:
        """Note that nothing of what was begun was taken: it will be sent again."""
        with self._lock:
            self._db.execute("DELETE FROM in_flight WHERE sink = ?", (sink,))
            self._in_flight.discard(sink)

    def recover(self, sink: str) -> None:
        """Pass over what was begun and never settled, as in doubt; nothing to do, as a rule."""
        if sink not in self._in_flight:
            return
        with self._lock:
            row = self._db.execute("SELECT segment, offset, lines FROM in_flight WHERE sink = ?", (sink,)).fetchone()
            if row:
                self.settle(sink, row[0], row[1], {PRODUCED: row[2], IN_DOUBT: row[2]})
            self._in_flight.discard(sink)

    def settle(self, sink: str, segment: str, offset: int, counts: Mapping[str, int], *, held: int = 0) -> None:
        """Move the sink behind `offset` and add what became of the lines to its counts, in one step."""
        with self._transaction():
            self._db.execute("DELETE FROM in_flight WHERE sink = ?", (sink,))
            self._db.execute(_SET_POSITION, (sink, segment, offset))
            self._count(sink, counts, held)
        self._offsets[sink, segment] = offset
        self._in_flight.discard(sink)

    def release(self, sink: str, held: int, counts: Mapping[str, int]) -> None:
        """Settle lines that were held (`held` is negative), without moving."""
        with self._transaction():
            self._count(sink, counts, held)

    def held(self) -> dict[str, int]:
        """Lines that sinks hold in memory, by sink."""
        with self._lock:
            return dict(self._db.execute("SELECT sink, lines FROM held WHERE lines").fetchall())

    def intent(self, sink: str, segment: str) -> str | None:
        """The key a segment was about to be stored under; None when it was never tried."""
        return self._intents.get((sink, segment))

    def intend(self, sink: str, segment: str, key: str) -> None:
        """Note the key before the segment is stored under it."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO intents VALUES (?, ?, ?)", (sink, segment, key))
            self._intents[sink, segment] = key

    def known(self) -> set[str]:
        """Segments that something is remembered of."""
        with self._lock:
            return {segment for _, segment in (*self._offsets, *self._intents)}

    def forget(self, segments: Iterable[str]) -> None:
        """Drop what is remembered of segments that no longer exist; counts stay."""
        gone = set(segments)
        if not gone:
            return
        with self._transaction():
            for table in ("positions", "intents"):
                self._db.executemany(f"DELETE FROM {table} WHERE segment = ?", [(s,) for s in gone])  # noqa: S608
            self._offsets = {key: offset for key, offset in self._offsets.items() if key[1] not in gone}
            self._intents = {key: intent for key, intent in self._intents.items() if key[1] not in gone}

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to counts that belong to no position."""
        with self._transaction():
            self._add(counts)

    def totals(self) -> dict[str, int]:
        """Everything counted since the home was made, by name."""
        with self._lock:
            return dict(self._db.execute("SELECT name, total FROM counts ORDER BY name").fetchall())

    def unreported(self) -> dict[str, int]:
        """What was counted since `mark_reported`, by name."""
        with self._lock:
            return dict(self._db.execute("SELECT name, total - reported FROM counts WHERE total > reported").fetchall())

    def mark_reported(self, counts: Mapping[str, int]) -> None:
        """Note that these counts stand in an event by now."""
        rows = [(value, name) for name, value in counts.items()]
        with self._transaction():
            self._db.executemany("UPDATE counts SET reported = reported + ? WHERE name = ?", rows)

    def _count(self, sink: str, counts: Mapping[str, int], held: int) -> None:
        self._add({f"{sink}.{name}": value for name, value in counts.items()})
        if held:
            self._db.execute(_HOLD, (sink, held))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def _add(self, counts: Mapping[str, int]) -> None:
        self._db.executemany(_ADD, [(name, value) for name, value in counts.items() if value])


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return _connected(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # not a database any more: what is in doubt is found in the raw folder
        path.rename(path.with_suffix(f".damaged-{time.time_ns()}"))
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db
