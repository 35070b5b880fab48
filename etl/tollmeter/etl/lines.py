"""Lines of a raw object, streamed: memory stays bounded whatever the object holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is quarantined; only its head is held."""

KEPT_BYTES: Final = 64 << 10
_CHUNK: Final = 1 << 18
_CODECS: Final = {".zst": "zstd", ".gz": "gzip"}


class Line(NamedTuple):
    """One line without its newline: its bytes (the head alone when it is too long), its true size, why it is cut."""

    data: bytes
    size: int
    unreadable: str = ""


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of one object, plain, gzip or zstd by its suffix.

    Where the object cannot be decompressed further, a last line says so in `unreadable`; what could be read before it
    has been yielded. A last line without newline counts as a line.
    """
    held, size = b"", 0
    try:
        for chunk in _chunks(path):
            first, *rest = chunk.split(b"\n")
            held, size = _grown(held, size, first)
            if rest:
                yield Line(held, size)
                for data in rest[:-1]:
                    yield Line(data, len(data))
                held, size = rest[-1], len(rest[-1])
    except _UnreadableError as error:
        yield Line(held, size, str(error))
        return
    if size:
        yield Line(held, size)


class _UnreadableError(Exception):
    """The compressed stream is torn or damaged."""


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        codec = _CODECS.get(path.suffix)
        read = _decompressed(file, codec) if codec else file.read
        while chunk := read(_CHUNK):
            yield chunk


def _decompressed(file: Any, codec: str) -> Any:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec)

    def read(size: int) -> bytes:
        try:
            return bytes(stream.read(size))
        except (OSError, pa.ArrowException) as error:
            raise _UnreadableError(f"{codec}: {error}") from error

    return read


def _grown(held: bytes, size: int, piece: bytes) -> tuple[bytes, int]:
    total = size + len(piece)
    if total > MAX_LINE_BYTES:
        return (held if len(held) >= KEPT_BYTES else held + piece)[:KEPT_BYTES], total
    return held + piece, total
