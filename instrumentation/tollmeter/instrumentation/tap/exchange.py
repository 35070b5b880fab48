"""What a client's tap needs of whoever watches an exchange."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from tollmeter.instrumentation.propagation.outgoing import Own
    from tollmeter.instrumentation.tap.facts import Headers

FIRST_ERROR: Final = 400
"""The first HTTP status that is an error."""

BATCH: Final = 64
"""So many chunks are kept, at most, before they are read."""
LARGE: Final = 1 << 10
"""A chunk above this is not kept."""
AT_ONCE: Final = (None,) * BATCH
"""Stands in for what is kept, where what takes a chunk is to be asked for anew with each."""


class Exchange(ABC):
    """Sees one exchange pass; each method is safe to call at any time and never raises."""

    __slots__ = ()

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether its end has been seen."""

    @abstractmethod
    def respond(self, status: int, headers: Headers, *, decoded: bool) -> None:
        """The response's head; `decoded` says that `feed` gets the body with content encoding undone."""

    @abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Some bytes of the body."""

    def keeping(self) -> tuple[Callable[[bytes], None], Sized]:
        """What takes the next chunks, and what it keeps them in.

        To be asked again once `BATCH` are kept, or a chunk is above `LARGE`: at once, where none may wait.
        """
        return self.feed, AT_ONCE

    @abstractmethod
    def complete(self) -> None:
        """The body came to its end."""

    @abstractmethod
    def abandon(self) -> None:
        """Nobody reads on."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """The exchange ended in an exception."""

    def outgoing(self, host: str, own: Own) -> Mapping[str, str]:
        """Headers to add for a host, beside those the application sends itself; none: only a call is a span."""
        del host, own
        return {}
