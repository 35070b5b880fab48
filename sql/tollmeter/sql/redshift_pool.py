"""Connections to Redshift that are lent to one statement at a time, opened as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tollmeter.model.errors import CancelledError, QueryError

if TYPE_CHECKING:
    from redshift_connector.core import Connection


class Pool:
    """At most `size` connections; who finds none free waits. Safe to share between threads."""

    def __init__(self, size: int, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._room = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._free: list[Connection] = []
        self._is_closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for as long as the block runs; one that was lost is not lent again, nor are those left idle.

        Raises:
            QueryError: the pool is closed, or the connection was refused.
        """
        with self._room:
            lent = self._lent()
            try:
                yield lent
            except (QueryError, CancelledError):
                self._back(lent)
                raise
            except BaseException:
                # Lost, or what the server still does for it is not known; what took this one took those beside it.
                for one in (lent, *self._taken()):
                    _close(one)
                raise
            self._back(lent)

    def close(self) -> None:
        """Close those that are free, and the others as they come back; closing twice does nothing."""
        self._is_closed = True
        for one in self._taken():
            _close(one)

    def _lent(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise QueryError("the engine is closed")
            if self._free:
                return self._free.pop()
        return self._connect()

    def _taken(self) -> list[Connection]:
        with self._lock:
            free, self._free = self._free, []
        return free

    def _back(self, lent: Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._free.append(lent)
                return
        _close(lent)


def _close(connection: Connection) -> None:
    from redshift_connector.error import Error

    with suppress(Error, OSError):
        connection.close()
