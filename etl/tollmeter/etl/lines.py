"""Lines of a raw object, streamed in blocks of whole lines: memory stays bounded whatever the object holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from tollmeter.etl.unpack import UnreadableError, unpacked

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is quarantined; only its head is held."""

KEPT_BYTES: Final = 64 << 10
CHUNK_BYTES: Final = 1 << 18
"""What is read at once. It must not exceed `MAX_LINE_BYTES`, and changing it changes where blocks end."""


class Line(NamedTuple):
    """One line without its newline: its bytes (the head alone when it is too long), its true size, why it is cut."""

    data: bytes
    size: int
    unreadable: str = ""


class Block(NamedTuple):
    """Consecutive lines of an object, each ended by a newline in `data`.

    `cut` holds the lines whose bytes are not the whole line, by their place in the block.
    """

    data: bytes
    line_count: int
    cut: dict[int, Line]

    def lines(self) -> list[bytes]:
        """The bytes of each line, as `data` has them."""
        found = self.data.split(b"\n")
        found.pop()
        return found


def read_blocks(file: BinaryIO, block_bytes: int, block_lines: int) -> Iterator[Block]:
    """The lines of one object, however it is packed, in blocks.

    A block ends with the chunk in which it reaches `block_bytes` or `block_lines`. Where the object cannot be
    decompressed further, a last line says so in `unreadable`; what could be read before it has been yielded. A last
    line without newline counts as a line.
    """
    growing = _Growing(min(CHUNK_BYTES, block_bytes))
    try:
        for chunk in unpacked(file, growing.chunk_bytes):
            growing.take(chunk)
            if growing.size >= block_bytes or growing.count >= block_lines:
                yield growing.block()
    except UnreadableError as error:
        growing.end_line(str(error))
    if growing.line_size:
        growing.end_line()
    if growing.count:
        yield growing.block()


class _Growing:
    """The block under way, and the line under way after it."""

    def __init__(self, chunk_bytes: int) -> None:
        self.chunk_bytes = chunk_bytes
        self.size, self.count = 0, 0
        self.line_size = 0
        self._head = b""
        self._pieces: list[bytes] = []
        self._cut: dict[int, Line] = {}

    def take(self, chunk: bytes) -> None:
        end = chunk.find(b"\n")
        if end < 0:
            self._grow(chunk)
            return
        self._grow(chunk[:end])
        self.end_line()
        last = chunk.rindex(b"\n") + 1
        if last > end + 1:  # these lines lie within a chunk, so none is too long
            self._add(chunk[end + 1 : last])
        self._grow(chunk[last:])

    def end_line(self, unreadable: str = "") -> None:
        if unreadable or self.line_size > len(self._head):
            self._cut[self.count] = Line(self._head, self.line_size, unreadable)
        self._add(self._head + b"\n")
        self._head, self.line_size = b"", 0

    def block(self) -> Block:
        found = Block(b"".join(self._pieces), self.count, self._cut)
        self._pieces, self._cut, self.size, self.count = [], {}, 0, 0
        return found

    def _add(self, lines: bytes) -> None:
        self._pieces.append(lines)
        self.size += len(lines)
        self.count += lines.count(b"\n")

    def _grow(self, piece: bytes) -> None:
        self.line_size += len(piece)
        if self.line_size <= MAX_LINE_BYTES:
            self._head += piece
        elif len(self._head) < KEPT_BYTES:
            self._head = (self._head + piece)[:KEPT_BYTES]
        else:
            self._head = self._head[:KEPT_BYTES]
