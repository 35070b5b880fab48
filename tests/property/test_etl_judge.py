"""A line's verdict and row are the same alone, in any block, and beside any neighbour."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import mutated_lines, whole_events

from tollmeter import etl
from tollmeter.etl import judge as judging
from tollmeter.etl.judge import Judged, Judging, Piece, judge
from tollmeter.etl.lines import Block, Line
from tollmeter.etl.parse import REASONS, Fault, Parsed, parse_line
from tollmeter.etl.rows import event_table, shown
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home
from tollmeter.model.names import TABLE_OF_KIND

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOW = Judging(NOW, Tombstones())
FUZZ_LINES = int(os.environ.get("TOLLMETER_FUZZ_LINES", "4000"))
SEED = 20261124
AT_ONCE = 20_000


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("rows could not be made of lines that were judged")

    monkeypatch.setattr(judging._Chunk, "_one_by_one", refuse)


def block_of(lines: Sequence[bytes]) -> Block:
    return Block(b"".join(line + b"\n" for line in lines), len(lines), {})


def judged(lines: Sequence[bytes], cuts: Sequence[int] = ()) -> Judged:
    edges = [0, *sorted(cuts), len(lines)]
    pairs = pairwise(edges)
    return judge([Piece(0, "k", "s", start + 1, block_of(lines[start:end])) for start, end in pairs], HOW)


def rows_of(found: Judged) -> dict[str, pa.Table]:
    return {name: table for name, table in found.tables.items() if len(table)}


def expected(lines: Sequence[bytes], now: datetime = NOW) -> tuple[dict[str, pa.Table], list[dict[str, Any]]]:
    """What `parse_line` says of each line by itself."""
    parsed: dict[str, list[Parsed]] = {}
    faults = []
    for number, data in enumerate(lines, start=1):
        verdict = parse_line(Line(data, len(data)), now)
        if isinstance(verdict, Fault):
            assert verdict.reason in REASONS
            row = {"object_key": "k", "line_number": number, "sha256": "s", "raw_text": shown(data)}
            faults.append(row | verdict._asdict())
        else:
            parsed.setdefault(TABLE_OF_KIND[str(verdict.event.__struct_config__.tag)], []).append(verdict)
    return {name: event_table(events, "b", NOW) for name, events in parsed.items()}, faults


def check(lines: Sequence[bytes], cuts: Sequence[int] = ()) -> Judged:
    found, (tables, faults) = judged(lines, cuts), expected(lines)
    assert sum(map(len, found.tables.values())) + len(faults) == found.lines.total() == len(lines)
    assert found.quarantine.to_pylist() == pa.Table.from_pylist(faults, found.quarantine.schema).to_pylist()
    assert rows_of(found).keys() == tables.keys()
    for name, rows in rows_of(found).items():
        rows.validate(full=True)
        assert rows.equals(tables[name].select(rows.column_names).combine_chunks())
    return found


_seeds = st.integers(0, 2**32)


@settings(deadline=None, max_examples=40)
@given(_seeds, st.integers(1, 12), st.lists(st.integers(0, 12), max_size=4))
def test_any_lines_in_any_blocks(seed: int, count: int, cuts: list[int]) -> None:
    lines = list(islice(mutated_lines(Random(seed)), count))
    check(lines, [min(cut, count) for cut in cuts])


@settings(deadline=None, max_examples=20)
@given(_seeds)
def test_a_line_alone_and_among_good_ones(seed: int) -> None:
    dice = Random(seed)
    good = [encode(event)[:-1] for event in islice(whole_events(dice), 3)]
    line = next(mutated_lines(dice))
    alone, among = judged([line]), judged([*good, line, *good])
    assert among.reasons == alone.reasons
    assert sum(map(len, among.tables.values())) == 6 + sum(map(len, alone.tables.values()))


@pytest.mark.parametrize("twice", ['"event_id":"x",', '"cost_usd":"ten",', '"cost_usd":"","cost_usd":null,'])
def test_the_first_of_duplicate_keys_must_be_valid_too(twice: str) -> None:
    good = next(encode(event)[:-1] for event in whole_events(Random(1)) if isinstance(event, LlmCall))
    found = check([good, good.replace(b'"event_id"', twice.encode() + b'"event_id"', 1)])
    assert found.reasons == {"invalid": 1}


def test_fuzzed_lines() -> None:
    """`make soak` gives it a million lines; about a third of them are faults."""
    dice, left, faults = Random(SEED), FUZZ_LINES, 0
    lines = mutated_lines(dice)
    while left > 0:
        some = list(islice(lines, min(left, AT_ONCE)))
        faults += check(some, [dice.randrange(len(some)) for _ in range(3)]).quarantined.total()
        left -= len(some)
    assert FUZZ_LINES * 0.1 < faults < FUZZ_LINES * 0.9


def test_a_run_over_fuzzed_lines_accounts_for_each(home: Home) -> None:
    home.raw.mkdir(parents=True)
    dice = Random(SEED + 1)
    lines = [
        event
        for line in islice(mutated_lines(dice), min(FUZZ_LINES, 200_000))
        for event in line.replace(b'}{"kind":', b'}\n{"kind":').split(b"\n")  # events in a row count as lines
    ]
    for number, part in enumerate(_split(lines, dice)):
        (home.raw / f"{number}.jsonl").write_bytes(b"".join(line + b"\n" for line in part))
    report, now = etl.run(home), datetime.now(UTC)
    assert report.holds
    assert report.lines == len(lines)
    tables, faults = expected(lines, now)
    assert report.quarantined == len(faults)
    assert {name: len(set(rows["event_id"].to_pylist())) for name, rows in tables.items()} == report.by_table


def _split(lines: list[bytes], dice: Random) -> Iterator[list[bytes]]:
    edges = sorted(dice.randrange(len(lines)) for _ in range(3))
    for start, end in zip([0, *edges], [*edges, len(lines)], strict=True):
        yield lines[start:end]
