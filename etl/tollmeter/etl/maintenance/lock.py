"""One maintenance job on a home at a time; runs go on beside it, and Iceberg settles who commits first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tollmeter.model.errors import LockedError
from tollmeter.model.spool import try_lock

if TYPE_CHECKING:
    from tollmeter.model.home import Home


@contextmanager
def maintenance_lock(home: Home) -> Iterator[None]:
    """Hold the maintenance of a home.

    Raises:
        LockedError: another job is under way on this home.
    """
    home.state.mkdir(parents=True, exist_ok=True)
    path = home.state / "maintenance.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if not try_lock(fd):
            raise LockedError(f"another maintenance job holds {path}; wait for it to end")
        yield
    finally:
        os.close(fd)
