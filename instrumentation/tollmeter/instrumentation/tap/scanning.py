"""Event streams as they pass: cut into lines anywhere, read only where they say something that counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Protocol

from tollmeter.instrumentation.guard import losses

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.tap.text_meter import TextMeter

MAX_LINE: Final = 16 << 20
"""Room for an image in one event."""
TAIL: Final = 8 << 10


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


class Lines:
    """Holds the unfinished line of a stream, at most 16 MiB of it; a longer one is counted, and passed over."""

    __slots__ = ("_is_passed_over", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._is_passed_over = False

    def feed(self, chunk: bytes) -> bytes:
        r"""The lines that a chunk completes, as one text that ends with their last newline, or nothing.

        >>> lines = Lines()
        >>> lines.feed(b"a"), lines.feed(b"b\nc\nd"), lines.rest()
        (b'', b'ab\nc\n', b'd')
        """
        end = chunk.rfind(b"\n") + 1
        if end == len(chunk) and not self._size and not self._is_passed_over:
            return chunk  # most are whole events
        if not end:
            self._hold(chunk)
            return b""
        start = chunk.find(b"\n") + 1 if self._is_passed_over else 0
        whole = self.rest() + chunk[start:end] if self._size else chunk[:end]
        if end < len(chunk):
            self._hold(chunk[end:])
        return whole

    def rest(self) -> bytes:
        """The unfinished line, which is held no longer."""
        rest = b"" if self._is_passed_over else b"".join(self._parts)
        self._parts, self._size, self._is_passed_over = [], 0, False
        return rest

    def _hold(self, chunk: bytes) -> None:
        if self._is_passed_over:
            return
        self._size += len(chunk)
        if self._size > MAX_LINE:
            losses.add("stream_line_over_16MiB")
            self._parts, self._is_passed_over = [], True
        else:
            self._parts.append(chunk)


class EventScanner(ABC):
    """Splits a stream into events; a wire says which are worth reading, and reads them.

    Every event is read until the first token; then those with one of the wire's `marks`, and at the end of the stream
    those of the last 8 KiB with one of its `last_marks`, and the very last. Held: one unfinished line, twice at most
    8 KiB and what was fed at once, and what the wire keeps.
    """

    __slots__ = ("_before", "_lines", "_newest", "call", "done", "error", "heard", "meter")

    marks: tuple[bytes, ...] = ()
    """An event that counts wherever it stands holds one of these; each costs a search through the whole stream."""
    last_marks: tuple[bytes, ...] = ()
    """An event that counts where a stream ends holds one of these."""
    prefix: bytes = b"data:"
    """What a line begins with that holds an event; empty where every line is one."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._lines = Lines()
        self._before = b""
        self._newest = b""
        self.done = False
        self.error = ""
        self.meter: TextMeter | None = None
        self.heard = call.content.heard if call.content is not None else None

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        whole = self._lines.feed(chunk)
        if not whole:
            return
        if self.meter is not None:
            self.meter.feed(whole)
        if self.heard is not None:
            self.heard.feed(whole)
        if not self.call.first_token:
            self._read_lines(whole.split(b"\n"))
            return
        self._keep(whole)
        for mark in self.marks:
            if whole.find(mark) >= 0:  # not `in`, which for bytes raises and clears an exception inside
                self._read_lines(lines_with(self.marks, whole))
                break

    def finish(self) -> None:
        """Take over what was kept."""
        rest = self._lines.rest()
        if rest:
            if self.heard is not None:
                self.heard.feed(rest)
            self._keep(rest + b"\n")
            self._read_lines(lines_with(self.marks, rest))
        tail = self._before + self._newest
        if len(tail) > TAIL:
            tail = tail[tail.rfind(b"\n", 0, -TAIL) + 1 :]
        self._read_lines(self.last_lines(tail))
        self.conclude()

    def last_lines(self, tail: bytes) -> list[bytes]:
        """The lines at the end of a stream that are worth reading."""
        return lines_with(self.last_marks, tail, last=True)

    def _read_lines(self, lines: list[bytes]) -> None:
        prefix, skipped = self.prefix, len(self.prefix)
        for line in lines:
            if line and line.startswith(prefix):
                self.read(line[skipped:])

    def _keep(self, whole: bytes) -> None:
        if len(self._newest) < TAIL:
            self._newest += whole
        else:
            self._before, self._newest = self._newest, whole

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Read one event."""

    def conclude(self) -> None:  # noqa: B027  a wire that keeps nothing has nothing to take over
        """The stream is over, whole or not."""


def line_at(data: bytes, at: int) -> bytes:
    r"""The line that a place is in.

    >>> line_at(b"one\ntwo\n", 5)
    b'two'
    """
    end = data.find(b"\n", at)
    return data[data.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(data)]


def last_line(data: bytes) -> bytes:
    r"""The last line that is not blank.

    >>> last_line(b"one\ntwo\n\n")
    b'two'
    """
    data = data.rstrip()
    return data[data.rfind(b"\n") + 1 :]


def lines_with(marks: tuple[bytes, ...], data: bytes, *, last: bool = False) -> list[bytes]:
    r"""The lines of some bytes that hold a mark, in their order; with `last` also the last that is not blank.

    >>> lines_with((b"usage",), b"one\n\nusage 1\ntwo\nthree\n\n", last=True)
    [b'usage 1', b'three']
    """
    ends: dict[int, int] = {}
    if last:
        end = len(data.rstrip())
        ends[data.rfind(b"\n", 0, end) + 1] = end
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            ends[data.rfind(b"\n", 0, at) + 1] = end
            at = data.find(mark, end)
    return [data[start : ends[start]] for start in sorted(ends)]
