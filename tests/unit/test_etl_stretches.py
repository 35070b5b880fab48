"""A plain file in cuts of whole lines: the same lines with the same numbers as read line by line."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tollmeter.etl.judge import Judging, Piece
from tollmeter.etl.lines import CHUNK_BYTES, MAX_LINE_BYTES, read_blocks
from tollmeter.etl.slices import Desk
from tollmeter.etl.stretches import Cut, Stretch, cut_lines
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.errors import DataError

LINES = [b"%d " % number * (number % 300) for number in range(3000)]
CONTENT = b"\n".join(LINES)
LONG = b"x" * (CHUNK_BYTES - 10)


def cuts_of(path: Path, most_bytes: int = 1 << 30, most_lines: int = 1 << 30) -> list[Cut] | None:
    with path.open("rb") as file:
        found = cut_lines(file, most_bytes, most_lines)
    if found is None:
        return None
    opened, cuts = found
    assert (opened.sha256, opened.size) == (sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    return cuts


def stretches_of(path: Path, cuts: list[Cut]) -> list[Stretch]:
    numbers = [1 + sum(cut.lines for cut in cuts[:place]) for place in range(len(cuts))]
    return [
        Stretch(0, "k", "s", first, cut.lines, path, cut.start, cut.size)
        for first, cut in zip(numbers, cuts, strict=True)
    ]


def lines_of(pieces: list[Piece]) -> dict[int, bytes]:
    return {piece.first + place: line for piece in pieces for place, line in enumerate(piece.block.lines())}


@pytest.mark.parametrize(
    "content",
    [CONTENT, CONTENT + b"\n", b"a", b"\n", b"a\n\nb", b"\n\n\n", LONG + b"\na\n" + LONG, b'{"a":{}}\n{"kind":1}'],
)
@pytest.mark.parametrize("most_bytes", [7, 5000, 1 << 30])
@pytest.mark.parametrize("most_lines", [1, 100, 1 << 30])
def test_cuts_hold_every_line_in_its_place(tmp_path: Path, content: bytes, most_bytes: int, most_lines: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    found = lines_of([stretch.read() for stretch in stretches_of(path, cuts_of(path, most_bytes, most_lines) or [])])
    with path.open("rb") as file:
        (block,) = read_blocks(file, 1 << 30, 1 << 30)
    assert found == dict(enumerate(block.lines(), start=1))


def test_cuts_end_soon_after_their_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(CONTENT)
    cuts = cuts_of(path, most_bytes=50_000) or []
    assert len(cuts) > 10
    assert all(50_000 <= cut.size < 102_000 for cut in cuts[:-1])


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(CONTENT),
        b'{"messageType":"DATA_MESSAGE","logEvents":[]}',
        CONTENT + b'\n{"a":1}{"kind":"run"}\n',
        b'{"a":1}{"kind":"run"}',
        b"x" * MAX_LINE_BYTES + b"x",
        CONTENT + b"\n" + b"x" * MAX_LINE_BYTES + b"x\n" + CONTENT,
        b"",
    ],
)
@pytest.mark.parametrize("most_bytes", [7, 1 << 30])
def test_what_is_not_its_lines_as_they_are_is_left_to_others(tmp_path: Path, content: bytes, most_bytes: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    assert cuts_of(path, most_bytes) is None


@pytest.mark.parametrize("change", [b"a\nb", b"a\nb\nc\nd\n"])
def test_a_file_that_changed_meanwhile_is_told(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb\nccccccc\n")
    (stretch,) = stretches_of(path, cuts_of(path) or [])
    path.write_bytes(change)
    with pytest.raises(DataError, match="changed while it was read: k"):
        Desk().judge(0, [stretch], Judging(datetime(2026, 11, 23, tzinfo=UTC), Tombstones()))
