"""The sinks on their own."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from tollmeter.exporters.sinks import open_sinks
from tollmeter.exporters.sinks import stdout as stdout_module
from tollmeter.exporters.sinks.base import LineSink, SegmentSink
from tollmeter.exporters.sinks.memory import MemoryLines, MemorySegments
from tollmeter.exporters.sinks.raw import RawFolder
from tollmeter.exporters.sinks.stdout import StdoutLogs, log_record
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Run, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings

WHEN = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


def line(event: Event) -> bytes:
    return encode(event).rstrip(b"\n")


def request(**fields: object) -> bytes:
    return line(Request(event_id=new_event_id(), timestamp=WHEN, service="chat", **fields))  # type: ignore[arg-type]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_a_finished_request_is_logged_as_the_field_queries_it() -> None:
    record = log_record(request(request_id="r1", user_id="u1", duration_ms=12.5, status_code=200, route="/chat"))
    assert record is not None
    assert list(record)[:6] == ["timestamp", "level", "message", "request_id", "user_id", "duration_ms"]
    assert record["timestamp"] == "2026-03-01T00:30:00Z"
    assert (record["level"], record["message"], record["duration_ms"]) == ("INFO", "Request completed", 12.5)
    assert record["route"] == "/chat"
    assert "error_type" not in record


def test_fields_at_their_default_are_still_there_to_query() -> None:
    record = log_record(request())
    assert record is not None
    assert (record["request_id"], record["user_id"], record["duration_ms"]) == ("", "", 0.0)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (request(status_code=503), "Request completed"),
        (request(error_type="ValueError"), "Request completed"),
        (line(LlmCall(event_id=new_event_id(), timestamp=WHEN, service="s", status="error")), "Model call completed"),
        (
            line(Run(event_id=new_event_id(), timestamp=WHEN, service="s", component="etl", outcome="error")),
            "Run completed",
        ),
    ],
)
def test_what_failed_is_an_error(event: bytes, message: str) -> None:
    record = log_record(event)
    assert record is not None
    assert (record["level"], record["message"]) == ("ERROR", message)


def test_an_evaluation_has_its_own_message_and_an_unknown_kind_its_name() -> None:
    score = Evaluation(event_id=new_event_id(), timestamp=WHEN, service="s", call_id=new_event_id(), name="x", score=1)
    assert (log_record(line(score)) or {})["message"] == "Evaluation recorded"
    assert (log_record(b'{"kind":"newer","x":1}') or {})["message"] == "newer"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[1]",
        b"{",
        b'{"a":"\xff"}',
        b"\x00\x00",
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_object_is_dropped_and_counted(bad: bytes, pipe: tuple[int, int]) -> None:
    receipt = StdoutLogs(pipe[1]).send([request(), bad, request()])
    assert (receipt.acknowledged, receipt.dropped, receipt.in_doubt, receipt.error) == (2, 1, 0, "")
    assert len(os.read(pipe[0], 65536).splitlines()) == 2


def test_a_reader_that_stops_costs_bounded_time_and_no_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout_module, "_PATIENCE_S", 0.2)
    read, write = pipe
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 8192)
    lines = [request(request_id=str(number), user_id="u" * 300) for number in range(100)]
    sink, seen, sent = StdoutLogs(write), b"", 0
    while sent < len(lines):
        receipt = sink.send(lines[sent:])
        assert bool(receipt.error) is (sent + receipt.lines < len(lines))
        sent += receipt.lines
        seen += os.read(read, 1 << 20)
    whole = [json.loads(text) for text in seen.splitlines() if text.endswith(b"}") and text.startswith(b'{"timestamp')]
    assert [record["request_id"] for record in whole] == [str(number) for number in range(100)]


def test_a_reader_that_left_is_an_error_and_nothing_is_acknowledged() -> None:
    read, write = os.pipe()
    os.close(read)
    receipt = StdoutLogs(write).send([request()])
    os.close(write)
    assert receipt.lines == 0
    assert "BrokenPipe" in receipt.error


def test_the_raw_folder_stores_a_segment_whole_under_the_hour_of_upload(tmp_path: Path) -> None:
    source = tmp_path / "s1.jsonl"
    source.write_bytes(b'{"a":1}\n' * 1000)
    sink = RawFolder(tmp_path / "raw")
    key = sink.key_for("s1", WHEN)
    assert key == "dt=2026-03-01/hour=00/s1.jsonl.zst"
    assert not sink.exists(key)
    sink.store(source, key)
    target = tmp_path / "raw" / key
    assert zstandard.ZstdDecompressor().decompress(target.read_bytes()) == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["s1.jsonl.zst"]
    assert sink.exists(key)


def test_the_raw_folder_never_overwrites(tmp_path: Path) -> None:
    source, target = tmp_path / "s1.jsonl", tmp_path / "raw" / "dt=2026-03-01" / "hour=00" / "s1.jsonl.zst"
    source.write_bytes(b"{}\n")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"there first")
    RawFolder(tmp_path / "raw").store(source, "dt=2026-03-01/hour=00/s1.jsonl.zst")
    assert target.read_bytes() == b"there first"
    assert [path.name for path in target.parent.iterdir()] == ["s1.jsonl.zst"]


def test_an_attempt_that_ended_between_two_steps_leaves_an_object_that_no_later_one_writes_to(tmp_path: Path) -> None:
    source, key = tmp_path / "s1.jsonl", "dt=2026-03-01/hour=00/s1.jsonl.zst"
    source.write_bytes(b'{"a":1}\n')
    target = tmp_path / "raw" / key
    target.parent.mkdir(parents=True)
    target.write_bytes(b"there first")
    target.with_name(".s1.jsonl.zst.tmp").hardlink_to(target)  # killed before its hidden name was removed
    RawFolder(tmp_path / "raw").store(source, key)
    assert target.read_bytes() == b"there first"
    assert [path.name for path in target.parent.iterdir()] == ["s1.jsonl.zst"]


def test_the_raw_folder_finds_objects_of_today_and_yesterday(tmp_path: Path) -> None:
    sink = RawFolder(tmp_path / "raw")
    for key in ("dt=2026-02-28/hour=23/a.jsonl.zst", "dt=2026-02-27/hour=23/b.jsonl.zst"):
        (tmp_path / "raw" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / key).touch()
    assert sink.find("a", WHEN) == "dt=2026-02-28/hour=23/a.jsonl.zst"
    assert sink.find("b", WHEN) is None


def test_sinks_are_opened_by_name_once_each(tmp_path: Path) -> None:
    assert [sink.name for sink in open_sinks(Home(tmp_path), Settings.load({}, sinks=("raw", "stdout", "raw")))] == [
        "raw",
        "stdout",
    ]
    with pytest.raises(UnknownNameError, match="no sink named 'rw'; did you mean raw"):
        open_sinks(Home(tmp_path), Settings.load({}, sinks=("rw",)))
    with pytest.raises(SettingError, match=r"at least one of cloudwatch_emf, .*, raw, s3, stdout"):
        open_sinks(Home(tmp_path), Settings.load({}, sinks=()))


def test_the_doubles_speak_the_protocols() -> None:
    lines, segments = MemoryLines(), MemorySegments()
    assert isinstance(lines, LineSink)
    assert not isinstance(lines, SegmentSink)
    assert isinstance(segments, SegmentSink)
    assert not isinstance(segments, LineSink)
