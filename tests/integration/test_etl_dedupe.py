"""An event lands once, however late it comes again and whatever day it then claims; files of other times stay shut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tollmeter import etl
from tollmeter.etl.dedupe import split
from tollmeter.etl.id_ranges import may_hold, ranges_of
from tollmeter.etl.lake import existing_tables, open_tables
from tollmeter.etl.parse import Parsed
from tollmeter.etl.rows import event_table
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

START = datetime(2026, 9, 1, tzinfo=UTC)


def v7(moment: datetime, number: int) -> str:
    made = f"{int(moment.timestamp() * 1000):012x}7{number:03x}8{number:015x}"
    return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


def call(event_id: str, day: int) -> LlmCall:
    return LlmCall(event_id=event_id, timestamp=START + timedelta(days=day), service="s")


def put(home: Home, name: str, calls: list[LlmCall]) -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    (home.raw / name).write_bytes(b"".join(map(encode, calls)))


@pytest.mark.parametrize("event_id", [v7(START, 1), imported_event_id("x", "1")], ids=["v7", "v5"])
def test_the_same_id_forty_days_apart(home: Home, event_id: str) -> None:
    put(home, "a.jsonl", [call(event_id, 0)])
    assert etl.run(home).landed == 1
    put(home, "b.jsonl", [call(v7(START + timedelta(days=20), 2), 20)])
    assert etl.run(home).landed == 1
    put(home, "c.jsonl", [call(event_id, 40), call(v7(START + timedelta(days=40), 3), 40)])
    report = etl.run(home)
    assert (report.landed, report.duplicates) == (1, 1)
    days = existing_tables(home)["llm_calls"].scan().to_arrow()["event_date"].to_pylist()
    assert sorted((day - START.date()).days for day in days) == [0, 20, 40]


def test_only_files_with_room_for_an_id_are_read(home: Home) -> None:
    for day in range(6):
        put(home, f"{day}.jsonl", [call(v7(START + timedelta(days=day), number), day) for number in range(20)])
        etl.run(home)
    table = existing_tables(home)["llm_calls"]
    wanted = [v7(START + timedelta(days=3), number) for number in (3, 99)]
    incoming = event_table([Parsed.of(call(event_id, 45)) for event_id in wanted], "later", START)
    (found,) = may_hold(ranges_of(table), incoming["event_id"].combine_chunks())
    assert Path(found).parent.name == "event_date=2026-09-04"
    fresh, mine = split(home, table, incoming, "later")
    assert (fresh["event_id"].to_pylist(), len(mine)) == ([wanted[1]], 0)


def test_an_empty_table_and_no_rows(home: Home) -> None:
    table = open_tables(home, "zstd")["llm_calls"]
    incoming = event_table([Parsed.of(call(v7(START, 1), 0))], "b", START)
    assert may_hold(ranges_of(table), incoming["event_id"].combine_chunks()) == []
    fresh, mine = split(home, table, incoming, "b")
    assert (len(fresh), len(mine)) == (1, 0)
    assert may_hold(ranges_of(table), incoming["event_id"].combine_chunks().slice(0, 0)) == []
