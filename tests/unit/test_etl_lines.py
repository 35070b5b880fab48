"""Lines of raw objects: all of them, numbered by their place, in bounded memory."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tollmeter.etl.lines import KEPT_BYTES, MAX_LINE_BYTES, Block, Line, read_blocks
from tollmeter.etl.rows import shown

LINES = [random.Random(n).randbytes(n % 900).hex().encode() for n in range(3000)]
CONTENT = b"".join(line + b"\n" for line in LINES)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def blocks(path: Path, block_bytes: int = 1 << 20, block_lines: int = 1000) -> list[Block]:
    with path.open("rb") as file:
        return list(read_blocks(file, block_bytes, block_lines))


def read_lines(path: Path) -> list[Line]:
    return [
        block.cut.get(place) or Line(data, len(data))
        for block in blocks(path)
        for place, data in enumerate(block.lines())
    ]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a.jsonl", CONTENT),
        ("a.jsonl.gz", gzip.compress(CONTENT)),
        ("a.jsonl.zst", zstandard.compress(CONTENT)),
        ("two-members.jsonl.gz", gzip.compress(CONTENT[:70_000]) + gzip.compress(CONTENT[70_000:])),
        ("two-frames.jsonl.zst", zstandard.compress(CONTENT[:70_000]) + zstandard.compress(CONTENT[70_000:])),
    ],
)
def test_every_line_comes_once_and_in_order(tmp_path: Path, name: str, stored: bytes) -> None:
    assert [line.data for line in read_lines(written(tmp_path, name, stored))] == LINES


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n\nb", [b"a", b"", b"b"])]
)
def test_edges(tmp_path: Path, content: bytes, lines: list[bytes]) -> None:
    assert [line.data for line in read_lines(written(tmp_path, "a.jsonl", content))] == lines


@pytest.mark.parametrize("size", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 10 << 20])
def test_a_long_line_is_measured_and_its_neighbours_are_whole(tmp_path: Path, size: int) -> None:
    path = written(tmp_path, "a.jsonl", b"before\n" + b"x" * size + b"\nafter\n")
    before, long, after = read_lines(path)
    assert (before.data, after.data, long.size) == (b"before", b"after", size)
    assert len(long.data) == (size if size <= MAX_LINE_BYTES else KEPT_BYTES)


@pytest.mark.parametrize("block_bytes", [1, 100, 5_000, 1 << 30])
@pytest.mark.parametrize("block_lines", [1, 7, 1 << 30])
def test_wherever_blocks_end_the_lines_are_the_same(tmp_path: Path, block_bytes: int, block_lines: int) -> None:
    found = blocks(written(tmp_path, "a.jsonl", CONTENT[:200_000]), block_bytes, block_lines)
    assert b"".join(block.data for block in found) == CONTENT[:200_000].removesuffix(b"\n") + b"\n"
    assert [block.line_count for block in found] == [len(block.lines()) for block in found]
    assert all(block.line_count for block in found)
    assert not any(block.cut for block in found)


def test_a_bomb_of_one_line_stays_in_bounded_memory(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl.zst", zstandard.compress(b"x" * (200 << 20)))
    tracemalloc.start()
    (block,) = blocks(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert block.cut[0].size == 200 << 20
    assert peak < 8 << 20


@pytest.mark.parametrize(("suffix", "pack"), [("zst", zstandard.compress), ("gz", gzip.compress)])
def test_a_torn_object_ends_with_one_line_that_says_so(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    content = os.urandom(3 << 20).hex().encode().replace(b"0", b"\n")
    stored = pack(content)
    found = read_lines(written(tmp_path, f"a.jsonl.{suffix}", stored[: len(stored) * 9 // 10]))
    assert [bool(line.unreadable) for line in found[-2:]] == [False, True]
    assert [line.data for line in found[:-1]] == content.split(b"\n")[: len(found) - 1]
    assert len(found) > 100_000


def test_raw_text_fits_a_varchar_and_holds_no_nul() -> None:
    assert shown(b"a\0\xff\xc3\xa9") == "a\\x00\\xffé"
    assert len(shown(b"\xff" * (1 << 20)).encode()) <= 65_535
