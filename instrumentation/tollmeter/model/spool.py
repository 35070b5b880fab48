"""The spool on disk: one place for its format, its lock and the rule for torn lines.

Layout: `<home>/spool/<service>/<uuid7>.open.jsonl` while a process appends to it, `<uuid7>.jsonl` once closed.

- A writer holds an exclusive `flock` on its open segment. The lock dies with the process, so an unlocked
  `.open.jsonl` has lost its writer and may be adopted. Process ids are never consulted: they are reused.
- A segment appears under its `.open.jsonl` name only after it is locked (made under a hidden name, locked, renamed), so
  that no reader can adopt it between creation and lock.
- One event is one line. A last line without newline is torn (the writer died, or the disk was full, inside `write(2)`):
  it was never acknowledged to anyone, is cut at adoption and counted.
- Closed segments are immutable; the uuid is their identity downstream.
- Where the folder above is setgid and writable by its group, the group shares the spool: what is made in it is so too,
  whatever the umask, and a reader of that group may run as another user.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uuid_utils

OPEN_SUFFIX: Final = ".open.jsonl"
CLOSED_SUFFIX: Final = ".jsonl"
_NEW_SUFFIX: Final = ".new"
_CHUNK: Final = 1 << 20
_ABANDONED_AFTER_S: Final = 3600.0
_MAX_NAME: Final = 128
_SHARED: Final = stat.S_ISGID | stat.S_IWGRP
_SHARED_FOLDER: Final = stat.S_ISGID | 0o770
_SHARED_FILE: Final = 0o660


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment this process appends to: its descriptor (locked, O_APPEND) and its path."""

    fd: int
    path: Path


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A segment nobody appends to any more; `torn_bytes` were cut from its end when it was closed.

    One that held no whole line was removed when it was closed, so that nothing lies at `path`.
    """

    path: Path
    torn_bytes: int = 0

    @property
    def segment_id(self) -> str:
        """The uuid that identifies the segment downstream."""
        return self.path.name.removesuffix(CLOSED_SUFFIX)


def service_folder(spool: Path, service: str) -> Path:
    """The folder of one service; characters a file system dislikes become `_`, and 128 of them are kept.

    >>> service_folder(Path("spool"), "chat/api").as_posix()
    'spool/chat_api'
    """
    return spool / (re.sub(r"[^A-Za-z0-9._-]", "_", service).lstrip(".")[:_MAX_NAME] or "_")


def create_segment(folder: Path) -> OpenSegment:
    """Create and lock a new segment in `folder`, which is made if it is missing.

    Raises:
        OSError: the folder or file cannot be made (read-only, full, not permitted, no locks).
    """
    make_folder(folder)
    name = str(uuid_utils.uuid7())
    hidden, path = folder / f".{name}{_NEW_SUFFIX}", folder / f"{name}{OPEN_SUFFIX}"
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        if is_shared(folder):
            os.fchmod(fd, _SHARED_FILE)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
    except OSError:
        os.close(fd)
        hidden.unlink(missing_ok=True)
        raise
    return OpenSegment(fd, path)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each shared with the group where the one above it is.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if is_shared(folder.parent) and not is_shared(folder):
        folder.chmod(_SHARED_FOLDER)


def is_shared(folder: Path) -> bool:
    """Whether the group shares what is made in the folder: it is setgid and writable by its group."""
    return folder.stat().st_mode & _SHARED == _SHARED


def close_segment(segment: OpenSegment) -> ClosedSegment:
    """Rename a segment to its closed name, then release it; a torn end is cut first, an empty segment removed."""
    try:
        torn = cut_torn_line(segment.path)
        closed = _closed_path(segment.path)
        if segment.path.stat().st_size == 0:
            segment.path.unlink()
        else:
            segment.path.rename(closed)
    finally:
        os.close(segment.fd)
    return ClosedSegment(closed, torn)


def adopt_segment(path: Path) -> ClosedSegment | None:
    """Close a segment whose writer is gone; None while the writer lives, or when another reader was faster.

    Raises:
        OSError: the segment may not be opened, or cannot be cut or renamed.
    """
    try:
        # Enough for the lock; only a torn line needs a file that may be written.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Between open and lock its writer, or another reader, may have closed it: then the name is gone.
        orphaned = try_lock(fd) and path.exists()
    except OSError:
        os.close(fd)
        raise
    if orphaned:
        return close_segment(OpenSegment(fd, path))
    os.close(fd)
    return None


def try_lock(fd: int) -> bool:
    """Take the exclusive lock if nobody holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def cut_torn_line(path: Path) -> int:
    """Cut what follows the last newline; returns how many bytes that was."""
    size = path.stat().st_size
    whole = _end_of_last_line(path, size)
    if whole < size:
        os.truncate(path, whole)
    return size - whole


def read_lines(path: Path, offset: int, max_bytes: int = 8 * _CHUNK) -> tuple[list[bytes], int]:
    """Whole lines from `offset` on, without newlines, and the offset behind the last of them.

    Reads about `max_bytes`, more only to complete one line. A fragment at the end is left for the next call.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(max_bytes)
        while data and b"\n" not in data:
            more = file.read(max_bytes)
            if not more:
                break
            data += more
    end = data.rfind(b"\n") + 1
    return data[:end].split(b"\n")[:-1], offset + end


def closed_segments(folder: Path) -> list[ClosedSegment]:
    """The closed segments of one service, oldest first; none where the folder is missing.

    A reader lists `open_segments` before these: a segment that is closed in between is then seen twice, never missed.
    """
    return [ClosedSegment(folder / name) for name in _names(folder) if not name.endswith(OPEN_SUFFIX)]


def open_segments(folder: Path) -> list[Path]:
    """Paths of the segments that some process appends to, or died while appending to, oldest first."""
    return [folder / name for name in _names(folder) if name.endswith(OPEN_SUFFIX)]


def sweep_unborn(folder: Path) -> int:
    """Remove hidden files of writers that died while creating a segment, an hour ago or more; returns how many.

    They hold no event: a segment is written to only under its `.open.jsonl` name.
    """
    removed = 0
    for path in folder.glob(f".*{_NEW_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                path.unlink()
                removed += 1
        except FileNotFoundError:  # its writer finished, or another reader swept it
            continue
    return removed


def _names(folder: Path) -> list[str]:
    try:
        found = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(name for name in found if name.endswith(CLOSED_SUFFIX) and not name.startswith("."))


def _closed_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(OPEN_SUFFIX) + CLOSED_SUFFIX)


def _end_of_last_line(path: Path, size: int) -> int:
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - _CHUNK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
