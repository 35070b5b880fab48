"""Whatever bytes an object holds, a run ends and accounts for every line."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollmeter import etl
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.lines import Line
from tollmeter.etl.parse import REASONS, Fault, parse_line
from tollmeter.etl.rows import event_table, shown
from tollmeter.model.events import Evaluation, LlmCall, Request, Run, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id
from tollmeter.model.names import EVENT_TABLES

NOW = datetime(2026, 11, 23, tzinfo=UTC)
_ids = st.integers(0, 5).map(lambda n: imported_event_id("p", str(n)))
_times = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 3), timezones=st.just(UTC))  # noqa: DTZ001
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_who = {"event_id": _ids, "timestamp": _times, "service": _texts}
_events = st.one_of(
    st.builds(
        LlmCall, **_who, cost_usd=st.none() | st.decimals(0, 999_999, places=12), tags=st.dictionaries(_texts, _texts)
    ),
    st.builds(Request, **_who, duration_ms=st.floats(0, 1e12)),
    st.builds(Evaluation, **_who, call_id=_ids, name=_texts, score=st.floats(-1e300, 1e300)),
    st.builds(Run, **_who, component=_texts),
).map(lambda event: encode(event)[:-1])


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(_events))
    start = draw(st.integers(0, len(line)))
    line[start : start + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(line)


_lines = st.one_of(_events, _damaged(), st.binary(max_size=200))


@given(_lines)
@example(b'{"kind":"run","kind":"run"}')
@example(b"[" * 100_000)
def test_every_line_is_a_row_or_a_fault(data: bytes) -> None:
    verdict = parse_line(Line(data, len(data)), NOW)
    if isinstance(verdict, Fault):
        assert verdict.reason in REASONS
        shown(data).encode()
    else:
        landed = event_table([verdict], "b", NOW)
        landed.validate(full=True)
        assert landed["event_id"].to_pylist() == [verdict.event.event_id]
        assert landed["timestamp"].to_pylist() == [verdict.event.timestamp.astimezone(UTC).replace(tzinfo=None)]


@settings(max_examples=5, deadline=None)
@given(st.lists(st.lists(_lines, max_size=12).map(b"\n".join), min_size=1, max_size=3))
def test_a_run_accounts_for_every_line(objects: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = etl_home(Path(folder), objects)
        report = etl.run(home)
        assert report.holds
        assert report.lines == sum(
            content.count(b"\n") + (not content.endswith(b"\n")) for content in set(objects) if content
        )
        tables = existing_tables(home)
        for name in EVENT_TABLES:
            ids = tables[name].scan().to_arrow()["event_id"].to_pylist()
            assert len(ids) == len(set(ids))
            assert len(ids) == report.by_table.get(name, 0) + (name == "runs")
        assert len(tables["quarantine"].scan().to_arrow()) == report.quarantined
        assert etl.run(home).objects == 0


def etl_home(folder: Path, objects: list[bytes]) -> Home:
    home = Home(folder)
    home.raw.mkdir()
    for number, content in enumerate(objects):
        (home.raw / f"{number}.jsonl.zst").write_bytes(zstandard.compress(content))
    return home
