"""The spool writer on a real disk: rotation, bounds, forks."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import SpoolWriter, StdoutWriter, choose_writer
from tollmeter.model.settings import Settings
from tollmeter.model.spool import closed_segments, open_segments

LINE = b'{"a":"' + b"x" * 91 + b'"}\n'


@pytest.fixture(autouse=True)
def _no_losses_of_others() -> Iterator[None]:
    losses.take()
    yield
    losses.take()


def make(folder: Path, **settings: object) -> SpoolWriter:
    return SpoolWriter(folder, Settings.load({}, **settings))


def lines_in(folder: Path) -> list[bytes]:
    paths = [segment.path for segment in closed_segments(folder)] + open_segments(folder)
    return [line for path in paths for line in path.read_bytes().splitlines(keepends=True)]


def test_each_event_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    writer = make(tmp_path)
    assert writer.append(LINE)
    assert lines_in(tmp_path) == [LINE]
    writer.close()


def test_an_open_segment_is_locked_and_a_closed_one_is_not(tmp_path: Path) -> None:
    writer = make(tmp_path)
    writer.append(LINE)
    (path,) = open_segments(tmp_path)
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    writer.close()
    (segment,) = closed_segments(tmp_path)
    assert segment.path.read_bytes() == LINE
    assert open_segments(tmp_path) == []


def test_segments_rotate_by_size(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_max_bytes=250)
    for _ in range(7):
        writer.append(LINE)
    assert [segment.path.stat().st_size for segment in closed_segments(tmp_path)] == [300, 300]
    assert len(lines_in(tmp_path)) == 7
    writer.close()


def test_segments_rotate_by_age_without_a_further_event(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_max_age_s=0.05)
    writer.append(LINE)
    deadline = time.monotonic() + 5
    while not closed_segments(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [segment.path.read_bytes() for segment in closed_segments(tmp_path)] == [LINE]
    writer.append(LINE)
    writer.close()
    assert len(closed_segments(tmp_path)) == 2


def test_a_full_spool_drops_the_newest_and_counts(tmp_path: Path) -> None:
    writer = make(tmp_path, spool_max_bytes=250)
    assert [writer.append(LINE) for _ in range(5)] == [True, True, False, False, False]
    assert losses.take() == {"spool_full": 3}
    assert len(lines_in(tmp_path)) == 2
    writer.close()


def test_a_spool_that_was_emptied_takes_events_again(tmp_path: Path) -> None:
    writer = make(tmp_path, spool_max_bytes=250, segment_max_bytes=100)
    while writer.append(LINE):
        pass
    for segment in closed_segments(tmp_path):
        segment.path.unlink()
    deadline = time.monotonic() + 5
    while not writer.append(LINE) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(lines_in(tmp_path)) == 1
    writer.close()


def test_a_folder_that_cannot_be_made_loses_events_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = make(tmp_path / "file" / "spool")
    assert not writer.append(LINE)
    assert not writer.append(LINE)
    counted = losses.take()
    assert counted["spool_unavailable"] == 2
    assert sum(counts for reason, counts in counted.items() if reason.startswith("internal:")) == 1


def test_a_forked_child_writes_to_a_segment_of_its_own(tmp_path: Path) -> None:
    writer = make(tmp_path)
    writer.append(LINE)
    pid = os.fork()
    if pid == 0:
        writer.append(LINE.replace(b"a", b"b"))
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(open_segments(tmp_path)) == 2
    writer.close()
    # The child must not have kept the parent's lock: the one open segment left is the child's, and it is unlocked.
    (left,) = open_segments(tmp_path)
    with left.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(lines_in(tmp_path)) == 2


def test_where_no_disk_can_be_written_events_go_to_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    writer, why = choose_writer(tmp_path / "file" / "spool", Settings.load({}))
    assert isinstance(writer, StdoutWriter)
    assert "cannot be made: Not a directory" in why
    assert writer.append(b'{"a":1}\n')
    assert capfd.readouterr().out == '{"a":1}\n'


def test_grouped_sync_is_a_setting(tmp_path: Path) -> None:
    writer = make(tmp_path, fdatasync=True)
    writer.append(LINE)
    assert writer.tick() is not None
    writer.close()
    assert writer.tick() is None
