"""JSON texts within what a Redshift VARCHAR holds: valid, marked, and with every member that fits."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tollmeter.etl.bounded import CUT, MAX_TEXT_BYTES, bounded_json
from tollmeter.etl.lines import Line
from tollmeter.etl.parse import Parsed, parse_line
from tollmeter.etl.rows import event_table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CALL = (
    '{"kind":"llm_call","event_id":"0190e5f0-0000-7000-8000-000000000000",'
    '"timestamp":"2026-10-01T00:00:00Z","service":"s",'
)


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_members_that_fit_are_kept_whole(letter: str) -> None:
    tags = {f"k{n}": letter * 100 for n in range(1000)}
    whole = json.dumps(tags, ensure_ascii=False, separators=(",", ":"))
    cut = bounded_json(whole)
    found = json.loads(cut)
    assert found.pop(CUT) == len(whole.encode())
    assert list(found.items()) == list(tags.items())[: len(found)]
    room = MAX_TEXT_BYTES - len(cut.encode())
    assert 0 <= room < len(letter.encode()) * 100 + 20


def test_a_text_that_just_fits_stays() -> None:
    text = json.dumps({"a": "x" * (MAX_TEXT_BYTES - len('{"a": ""}'))})
    assert bounded_json(text) == text
    assert json.loads(bounded_json(text[:-2] + 'x"}')) == {CUT: MAX_TEXT_BYTES + 1}


def test_an_array_ends_with_the_mark() -> None:
    text = json.dumps([{"name": "n" * 1000}] * 100)
    found = json.loads(bounded_json(text))
    assert found[-1] == {CUT: len(text)}
    assert found[:-1] == [{"name": "n" * 1000}] * 64


@pytest.mark.parametrize("member", ['"tags":{"a":"1","b":"%s"}', '"new_field":{"b":"%s"}'])
def test_the_row_lands_with_its_figures(member: str) -> None:
    line = f'{CALL}"input_tokens":7,{member % ("x" * 70_000)}}}'.encode()
    parsed = parse_line(Line(line, len(line)), NOW)
    assert isinstance(parsed, Parsed)
    (row,) = event_table([parsed], "b", NOW).to_pylist()
    text = row["tags"] or row["extra"]
    assert json.loads(text)[CUT] > 70_000
    assert row["input_tokens"] == 7
