"""Reading the spool."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tollmeter.exporters.reader import SpoolReader, count_lines, read_batch
from tollmeter.exporters.sinks.base import BATCH_BYTES
from tollmeter.model.spool import close_segment, create_segment


def test_an_empty_or_missing_spool_has_no_segments(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "spool")
    assert reader.segments() == []
    assert reader.adopt().segments == 0


def test_segments_of_all_services_come_oldest_first(tmp_path: Path) -> None:
    made = []
    for service in ("b", "a", "b"):
        segment = create_segment(tmp_path / service)
        os.write(segment.fd, b"{}\n")
        made.append(close_segment(segment).segment_id)
        time.sleep(0.002)
    live = create_segment(tmp_path / "a")
    found = SpoolReader(tmp_path).segments()
    assert [segment.segment_id for segment in found[:3]] == made
    assert [segment.service for segment in found] == ["b", "a", "b", "a"]
    assert [segment.closed for segment in found] == [True, True, True, False]
    assert len(SpoolReader(tmp_path).segments(closed_only=True)) == 3
    assert abs(found[0].created - time.time()) < 5
    os.close(live.fd)


def test_a_segment_closed_between_listing_and_reading_is_still_read(tmp_path: Path) -> None:
    segment = create_segment(tmp_path / "chat")
    os.write(segment.fd, b"one\ntwo\n")
    listed = SpoolReader(tmp_path).segments()[0]
    assert read_batch(listed, 0, BATCH_BYTES).lines == [b"one", b"two"]
    close_segment(segment)
    assert read_batch(listed, 4, BATCH_BYTES).lines == [b"two"]
    assert SpoolReader(tmp_path).exists(listed.segment_id)
    assert not SpoolReader(tmp_path).exists("other")


def test_reading_while_the_writer_appends_gives_each_line_once(tmp_path: Path) -> None:
    segment = create_segment(tmp_path / "chat")
    listed, offset, seen = SpoolReader(tmp_path).segments()[0], 0, []
    for number in range(200):
        line = f'{{"n":{number}}}\n'.encode()
        half = number % len(line)
        for part in (line[:half], line[half:]):
            os.write(segment.fd, part)
            batch = read_batch(listed, offset, BATCH_BYTES)
            seen += batch.lines
            offset = batch.end
    assert seen == [f'{{"n":{number}}}'.encode() for number in range(200)]
    os.close(segment.fd)


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    segment = create_segment(tmp_path / "chat")
    os.write(segment.fd, (b"x" * 999 + b"\n") * 2000)
    closed = close_segment(segment)
    listed = SpoolReader(tmp_path).segments()[0]
    batch = read_batch(listed, 0, BATCH_BYTES)
    assert 250 < len(batch.lines) < 270
    assert count_lines(listed, 0) == 2000
    assert count_lines(listed, batch.end) == 2000 - len(batch.lines)
    assert closed.path == listed.path


def test_adoption_counts_what_was_torn_and_leaves_the_living_alone(tmp_path: Path) -> None:
    for data in (b"{}\n", b"{}\n{", b"{"):
        segment = create_segment(tmp_path / "chat")
        os.write(segment.fd, data)
        os.close(segment.fd)
    live = create_segment(tmp_path / "chat")
    adoption = SpoolReader(tmp_path).adopt()
    assert (adoption.segments, adoption.torn_lines, adoption.torn_bytes, adoption.failures) == (3, 2, 2, 0)
    assert [segment.closed for segment in SpoolReader(tmp_path).segments()] == [True, True, False]
    os.close(live.fd)


def test_a_segment_that_cannot_be_adopted_holds_no_other_back(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "0.open.jsonl").mkdir()
    segment = create_segment(tmp_path / "chat")
    os.write(segment.fd, b"{}\n")
    os.close(segment.fd)
    adoption = SpoolReader(tmp_path).adopt()
    assert (adoption.segments, adoption.failures) == (1, 1)
