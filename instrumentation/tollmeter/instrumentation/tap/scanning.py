"""Server-sent events as they pass: cut into lines anywhere, read only where they say something that counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Protocol

from tollmeter.instrumentation.guard import losses

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.tap.text_meter import TextMeter

MAX_LINE: Final = 1 << 20
_DATA: Final = b"data:"
_PASSED_OVER: Final = b"overlong:"  # no event starts so, hence the line is skipped at its end


class Scanner(Protocol):
    """Reads a stream as it passes."""

    done: bool
    """The provider has said all."""
    error: str
    """An error told inside the stream."""
    meter: TextMeter | None
    """Counts the tokens of the text that passes, where that can be needed."""

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        ...

    def finish(self) -> None:
        """Take over what was kept."""
        ...


class EventScanner(ABC):
    """Splits a stream into events; a wire says which are worth reading, and reads them.

    Every event is read until the first token; then those with one of the wire's `marks`, and the last of each chunk.
    Held: one unfinished line of at most 1 MiB, and what the wire keeps.
    """

    __slots__ = ("_rest", "call", "done", "error", "meter")

    marks: tuple[bytes, ...]
    """An event that counts holds one of these; each costs a search through the whole stream."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._rest = b""
        self.done = False
        self.error = ""
        self.meter: TextMeter | None = None

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._hold(chunk)
            return
        whole = self._rest + chunk[:end] if self._rest else chunk[:end]
        self._rest = chunk[end:]
        if self.meter is not None:
            self.meter.feed(whole)
        for line in lines_with(self.marks, whole) if self.call.first_token else whole.split(b"\n"):
            if line.startswith(_DATA):
                self.read(line[5:])

    def finish(self) -> None:
        """Take over what was kept."""
        if self._rest.startswith(_DATA):
            self.read(self._rest[5:])
            self._rest = b""
        self.conclude()

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Read one event."""

    def conclude(self) -> None:  # noqa: B027  a wire that keeps nothing has nothing to take over
        """The stream is over, whole or not."""

    def _hold(self, chunk: bytes) -> None:
        if self._rest == _PASSED_OVER:
            return
        if len(self._rest) + len(chunk) > MAX_LINE:
            losses.add("stream_line_over_1MiB")
            self._rest = _PASSED_OVER
        else:
            self._rest += chunk


def lines_with(marks: tuple[bytes, ...], data: bytes) -> list[bytes]:
    r"""The lines of some bytes that hold a mark, and the last that is not blank, in their order.

    >>> lines_with((b"usage",), b"one\n\nusage 1\ntwo\nthree\n\n")
    [b'usage 1', b'three']
    """
    size, last = len(data), len(data.rstrip())
    ends = {data.rfind(b"\n", 0, last) + 1: last}
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            end = data.find(b"\n", at)
            end = size if end < 0 else end
            ends[data.rfind(b"\n", 0, at) + 1] = end
            at = data.find(mark, end)
    return [data[start : ends[start]] for start in sorted(ends)]
