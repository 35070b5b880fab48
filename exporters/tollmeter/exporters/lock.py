"""One forwarder per home: an exclusive `flock` that dies with the process and is not inherited by forked children."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tollmeter.model.errors import LockedError
from tollmeter.model.home import Home
from tollmeter.model.spool import try_lock

FOLDER: Final = "forward"
"""Of the forwarder, below a home's state."""

_held: set[int] = set()


def lock_file(home: Home) -> Path:
    """The lock of a home's forwarder."""
    return home.state / FOLDER / "lock"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, which is made if it is missing, while the block runs.

    Raises:
        LockedError: another process, or another forwarder of this one, holds it; the message names its process id.
        OSError: the file cannot be made, or the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    _held.add(fd)
    try:
        if not try_lock(fd):
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            raise LockedError(f"another forwarder (process {holder}) holds {path}")
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        if fd in _held:
            _held.discard(fd)
            os.close(fd)


def _release_in_child() -> None:
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_release_in_child)
