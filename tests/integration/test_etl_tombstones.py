"""A lake with tombstones refuses the lines of who was forgotten, and accounts for them."""

from __future__ import annotations

from datetime import UTC, datetime

from tollmeter import etl
from tollmeter.etl.lake import existing_tables, open_tables
from tollmeter.etl.tombstones import bury
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.names import TABLE_TOMBSTONES

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def call(user_id: str) -> bytes:
    return encode(LlmCall(event_id=new_event_id(), timestamp=NOW, service="s", user_id=user_id))


def test_lines_of_the_forgotten_are_dropped_and_counted(home: Home) -> None:
    table = open_tables(home, "zstd")[TABLE_TOMBSTONES]
    assert bury(table, "user_id", "ann")
    assert not bury(table, "user_id", "ann")
    home.raw.mkdir()
    (home.raw / "a.jsonl").write_bytes(call("ann") + call("bob") + b'{"user_id":"ann",\n' + b"broken\n")
    report = etl.run(home)
    assert report.equation == "lines read = rows landed + duplicates + quarantined + forgotten: 4 = 1 + 0 + 1 + 2"
    found = {name: existing_tables(home)[name].scan().to_arrow().to_pylist() for name in ("llm_calls", "ingest_ledger")}
    assert [row["user_id"] for row in found["llm_calls"]] == ["bob"]
    assert [(row["lines"], row["forgotten"]) for row in found["ingest_ledger"]] == [(4, 2)]
    assert not any(b"ann" in path.read_bytes() for path in home.lake.rglob("*") if path.is_file())
