"""Raw objects written anew without some lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.etl.sources.folder import raw_objects

if TYPE_CHECKING:
    from tollmeter.etl.forgetting.subject import Subject
    from tollmeter.model.home import Home

_PIECE: Final = 64 << 20  # a longer line is looked at in pieces: memory stays bounded
_CODECS: Final = {".zst": "zstd", ".gz": "gzip"}


class RawCut(NamedTuple):
    """One raw object: its path, the lines that go, the lines it has; `broken` where it cannot be read to its end."""

    path: Path
    lines: int
    of: int
    broken: bool = False


def raw_cuts(home: Home, subject: Subject) -> Iterator[RawCut]:
    """The raw objects of a home's folder that hold lines that go, or that cannot be read to their end."""
    for found in raw_objects(home):
        cut = _count(home.raw / found.key, subject)
        if cut.lines or cut.broken:
            yield cut


def cut_raw(cut: RawCut, subject: Subject) -> None:
    """Write an object anew without the lines that go, under its own name; delete it where none is left.

    Of a damaged object what cannot be read goes with them: nobody can tell whose it is.
    """
    if cut.lines == cut.of:
        cut.path.unlink()
        return
    hidden, times = cut.path.with_name(f".{cut.path.name}.forget"), cut.path.stat()
    with hidden.open("wb") as file, ExitStack() as stack:
        sink = stack.enter_context(_compressed(file, cut.path)) if cut.path.suffix in _CODECS else file
        for line in _lines(cut.path):
            if line is not None and not subject.owns(line):
                sink.write(line)
    os.utime(hidden, ns=(times.st_atime_ns, times.st_mtime_ns))
    hidden.replace(cut.path)


def _count(path: Path, subject: Subject) -> RawCut:
    gone = lines = 0
    for line in _lines(path):
        if line is None:
            return RawCut(path, gone, lines, broken=True)
        lines += 1
        gone += subject.owns(line)
    return RawCut(path, gone, lines)


def _lines(path: Path) -> Iterator[bytes | None]:
    """Lines with their newline; None where the object cannot be read further."""
    import io

    import pyarrow as pa

    with path.open("rb") as file:
        source: Any = file
        if codec := _CODECS.get(path.suffix):
            source = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec))
        while True:
            try:
                line = source.readline(_PIECE)
            except (OSError, EOFError, pa.ArrowException):
                yield None
                return
            if not line:
                return
            yield line


def _compressed(file: Any, path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), _CODECS[path.suffix])
