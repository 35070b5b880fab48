"""One run to a home and shard at a time, held by `flock`: a process that dies lets go.

It spares two runs the same work. That rows land once does not depend on it.
"""

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
def etl_lock(home: Home, shard: str = "") -> Iterator[None]:
    """Hold the lake of a home, or a shard of its runs such as `1/4`.

    Raises:
        LockedError: another run is under way on this home.
    """
    home.state.mkdir(parents=True, exist_ok=True)
    path = home.state / f"etl{shard and '-' + shard.replace('/', '-of-')}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if not try_lock(fd):
            raise LockedError(f"another etl run holds {path}; wait for it to end")
        yield
    finally:
        os.close(fd)
