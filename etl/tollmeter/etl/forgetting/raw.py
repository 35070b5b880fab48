"""Raw objects written anew without some lines, wherever they lie and however they are packed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tollmeter.etl.unpack import UnreadableError, codec_of, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollmeter.etl.discover import RawObject
    from tollmeter.etl.forgetting.subject import Subject
    from tollmeter.etl.opening import Opener
    from tollmeter.etl.raw_places import RawPlace

_CHUNK: Final = 4 << 20
_PIECE: Final = 64 << 20  # a longer line is looked at in pieces: memory stays bounded


class RawCut(NamedTuple):
    """One raw object: its key, the lines that go, the lines it has; `broken` where it cannot be read to its end."""

    key: str
    lines: int
    of: int
    broken: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is left of what can be read."""
        return self.lines == self.of


def raw_cuts(found: Iterable[RawObject], opener: Opener, subject: Subject) -> Iterator[RawCut]:
    """Those raw objects that hold lines that go, or that cannot be read to their end."""
    for each in found:
        cut = _count(each.key, opener, subject)
        if cut.lines or cut.broken:
            yield cut


def cut_raw(cut: RawCut, place: RawPlace, opener: Opener, subject: Subject) -> None:
    """Write an object anew without the lines that go, under its own key; delete it where none is left.

    It is packed as it was, but what it holds stands in lines: the messages of CloudWatch's envelopes, and events that
    Firehose put in a row. Of a damaged object what cannot be read goes: nobody can tell whose it is.
    """
    if cut.is_all:
        place.delete(cut.key)
        return
    with opener.open(cut.key) as found, opener.scratch() as file:
        with ExitStack() as stack:
            codec = codec_of(found.file)
            sink = stack.enter_context(_compressed(file, codec)) if codec else file
            for block in _readable(found.file):
                sink.write(_without(block, subject))
        file.seek(0)
        place.replace(cut.key, file)


def _count(key: str, opener: Opener, subject: Subject) -> RawCut:
    gone = lines = 0
    with opener.open(key) as found:
        try:
            for block in _blocks(found.file):
                lines += block.count(b"\n") + (not block.endswith(b"\n"))
                gone += sum(map(subject.owns, _lines(block))) if subject.may_own(block) else 0
        except UnreadableError:
            return RawCut(key, gone, lines, broken=True)
    return RawCut(key, gone, lines)


def _without(block: bytes, subject: Subject) -> bytes:
    return b"".join(line for line in _lines(block) if not subject.owns(line)) if subject.may_own(block) else block


def _lines(block: bytes) -> Iterator[bytes]:
    return iter(BytesIO(block))


def _readable(file: BinaryIO) -> Iterator[bytes]:
    """The lines before the damage."""
    try:
        yield from _blocks(file)
    except UnreadableError:
        return


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, many at a time; a piece of a line where it is very long."""
    held = b""
    for chunk in unpacked(file, _CHUNK):
        held += chunk
        end = held.rfind(b"\n") + 1 or (len(held) if len(held) >= _PIECE else 0)
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held


class _Kept:
    """A file that stays open when what packs into it is closed."""

    closed = False

    def __init__(self, file: Any) -> None:
        self.write, self.tell, self.flush = file.write, file.tell, file.flush

    def close(self) -> None:
        pass


def _compressed(file: Any, codec: str) -> Any:
    import pyarrow as pa

    return pa.CompressedOutputStream(pa.PythonFile(_Kept(file), mode="w"), codec)
