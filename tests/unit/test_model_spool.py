"""The spool's format, its lock, and the rule for torn lines."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from tollmeter.model.spool import (
    CLOSED_SUFFIX,
    OpenSegment,
    adopt_segment,
    close_segment,
    closed_segments,
    create_segment,
    open_segments,
    read_lines,
    service_folder,
    sweep_unborn,
)


def left_behind(folder: Path, data: bytes) -> Path:
    """A segment whose writer is gone."""
    segment = create_segment(folder)
    os.write(segment.fd, data)
    os.close(segment.fd)
    return segment.path


def descriptors() -> set[Path]:
    return {path for path in Path("/proc/self/fd").iterdir() if path.exists()}


def test_a_new_segment_is_locked_open_and_listed(tmp_path: Path) -> None:
    segment = create_segment(tmp_path / "chat")
    assert open_segments(tmp_path / "chat") == [segment.path]
    assert closed_segments(tmp_path / "chat") == []
    assert adopt_segment(segment.path) is None
    assert list((tmp_path / "chat").glob(".*")) == []
    os.close(segment.fd)


def test_closing_renames_and_keeps_every_whole_line(tmp_path: Path) -> None:
    segment = create_segment(tmp_path)
    os.write(segment.fd, b'{"a":1}\n{"b":2}\n')
    closed = close_segment(segment)
    assert closed.torn_bytes == 0
    assert closed_segments(tmp_path) == [closed]
    assert closed.path.read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert segment.path.name.startswith(closed.segment_id)


def test_adoption_cuts_a_torn_line_and_says_how_much(tmp_path: Path) -> None:
    path = left_behind(tmp_path, b'{"a":1}\n{"b":')
    closed = adopt_segment(path)
    assert closed is not None
    assert closed.torn_bytes == 5
    assert closed.path.read_bytes() == b'{"a":1}\n'


def test_a_torn_line_longer_than_a_block_is_cut_whole(tmp_path: Path) -> None:
    closed = adopt_segment(left_behind(tmp_path, b"{}\n" + b"x" * 3_000_000))
    assert closed is not None
    assert closed.torn_bytes == 3_000_000
    assert closed.path.read_bytes() == b"{}\n"


@pytest.mark.parametrize(("data", "torn"), [(b"", 0), (b"fragment", 8)])
def test_a_segment_without_a_whole_line_is_removed(tmp_path: Path, data: bytes, torn: int) -> None:
    closed = adopt_segment(left_behind(tmp_path, data))
    assert closed is not None
    assert closed.torn_bytes == torn
    assert list(tmp_path.iterdir()) == []


def test_adopting_twice_gives_one_segment(tmp_path: Path) -> None:
    path = left_behind(tmp_path, b"{}\n")
    assert adopt_segment(path) is not None
    assert adopt_segment(path) is None


def test_a_reader_that_opened_before_another_adopted_leaves_the_segment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(tmp_path, b"{}\n")
    real, raced = os.open, []

    def open_then_lose_the_race(name: Path, flags: int) -> int:
        fd = real(name, flags)
        monkeypatch.setattr(os, "open", real)
        raced.append(adopt_segment(path))
        return fd

    monkeypatch.setattr(os, "open", open_then_lose_the_race)
    assert adopt_segment(path) is None
    assert raced[0] is not None
    assert raced[0].path.read_bytes() == b"{}\n"


def test_a_lock_that_fails_is_raised_with_its_own_error_and_leaks_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(tmp_path, b"{}\n")
    before = descriptors()

    def no_locks(fd: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="No locks available"):
        adopt_segment(path)
    assert descriptors() == before


def test_reading_stops_at_the_last_whole_line_and_goes_on_from_there(tmp_path: Path) -> None:
    segment = create_segment(tmp_path)
    os.write(segment.fd, b"one\ntwo\nthr")
    assert read_lines(segment.path, 0) == ([b"one", b"two"], 8)
    assert read_lines(segment.path, 8) == ([], 8)
    os.write(segment.fd, b"ee\n")
    assert read_lines(segment.path, 8) == ([b"three"], 14)
    os.close(segment.fd)


def test_reading_takes_a_line_longer_than_the_limit_whole(tmp_path: Path) -> None:
    path = left_behind(tmp_path, b"x" * 100 + b"\n" + b"y" * 100 + b"\n")
    assert read_lines(path, 0, max_bytes=16) == ([b"x" * 100], 101)


def test_listing_leaves_out_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in (".hidden.jsonl", "notes.txt", ".x.new"):
        (tmp_path / name).touch()
    (tmp_path / f"b{CLOSED_SUFFIX}").touch()
    (tmp_path / f"a{CLOSED_SUFFIX}").touch()
    assert [segment.segment_id for segment in closed_segments(tmp_path)] == ["a", "b"]
    assert open_segments(tmp_path) == []
    assert closed_segments(tmp_path / "missing") == []


def test_what_a_writer_left_that_died_amid_creating_is_swept_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / ".old.new", tmp_path / ".young.new"
    old.touch()
    young.touch()
    long_ago = time.time() - 3601
    os.utime(old, (long_ago, long_ago))
    assert sweep_unborn(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize(
    ("service", "folder"),
    [("chat", "chat"), ("../../etc", "_.._etc"), ("..", "_"), ("", "_"), ("é/b c", "__b_c"), ("s" * 400, "s" * 128)],
)
def test_a_service_names_a_folder_below_the_spool(service: str, folder: str) -> None:
    assert service_folder(Path("spool"), service) == Path("spool") / folder


def _fork_holding(segment: OpenSegment, *, let_go: bool) -> tuple[int, int]:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        if let_go:
            os.close(segment.fd)
        os.write(told, b"x")
        signal.pause()
    os.read(ready, 1)
    os.close(told)
    return child, ready


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("let_go", [True, False])
def test_a_forked_child_keeps_the_lock_unless_it_closes_the_descriptor(tmp_path: Path, *, let_go: bool) -> None:
    segment = create_segment(tmp_path)
    os.write(segment.fd, b"{}\n")
    child, pipe = _fork_holding(segment, let_go=let_go)
    try:
        assert adopt_segment(segment.path) is None, "the parent lives"
        os.close(segment.fd)
        assert (adopt_segment(segment.path) is not None) is let_go
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(pipe)
    assert (adopt_segment(segment.path) is None) is let_go
