"""Whole lines of a plain file by their place in it, so that whoever judges them reads them, and nobody passes them on.

An object is read once here, for its digest, and cut while it passes. That holds for a file that is its lines as they
are: one that is compressed, holds envelopes, events in a row or a line longer than a chunk is read by
`tollmeter.etl.lines` instead.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tollmeter.etl.judge import Piece
from tollmeter.etl.lines import CHUNK_BYTES, Block
from tollmeter.etl.opening import Opened
from tollmeter.etl.unpack import JOINT, is_lines


class Stretch(NamedTuple):
    """Some lines of an object: its place in the plan, key and digest, file, start and number.

    `first` is the number of the first line.
    """

    origin: int
    key: str
    sha256: str
    first: int
    line_count: int
    path: Path
    start: int
    size: int

    def read(self) -> Piece:
        """The lines themselves."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(self.size)
        if data and not data.endswith(b"\n"):
            data += b"\n"
        return Piece(self.origin, self.key, self.sha256, self.first, Block(data, self.line_count, {}))


class Cut(NamedTuple):
    """Where some lines of a file begin, how many bytes and how many lines they are."""

    start: int
    size: int
    lines: int

    def with_more(self, size: int, lines: int) -> Cut:
        """The same with more bytes and lines."""
        return Cut(self.start, self.size + size, self.lines + lines)


def cut_lines(file: BinaryIO, most_bytes: int, most_lines: int) -> tuple[Opened, list[Cut]] | None:
    """A plain file by its digest and in cuts of whole lines, each ended by the chunk in which it reaches a bound.

    None where the file has to be read line by line.
    """
    if not is_lines(file):
        return None
    digest, cuts, growing = hashlib.sha256(), list[Cut](), Cut(0, 0, 0)
    rest = b""  # what stands behind the last newline, at most a chunk
    while chunk := file.read(min(CHUNK_BYTES, most_bytes)):
        if JOINT in rest[-len(JOINT) :] + chunk:
            return None
        digest.update(chunk)
        end = chunk.rfind(b"\n") + 1
        if not end and len(rest) + len(chunk) > CHUNK_BYTES:
            return None
        if end:
            growing = growing.with_more(len(rest) + end, chunk.count(b"\n"))
        rest = chunk[end:] if end else rest + chunk
        if growing.size >= most_bytes or growing.lines >= most_lines:
            cuts.append(growing)
            growing = Cut(growing.start + growing.size, 0, 0)
    if rest:
        growing = growing.with_more(len(rest), 1)
    if growing.lines:
        cuts.append(growing)
    return Opened(file, digest.hexdigest(), file.tell()), cuts
