"""Who was forgotten stays out: by the field of an event, and by its spelling in a line that is none."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from tollmeter.etl.tombstones import Tombstones, digest_of
from tollmeter.model.events import LlmCall, Run
from tollmeter.model.ids import new_event_id

KEY = b"key of the lake"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def tombstones() -> Tombstones:
    return Tombstones(KEY, frozenset([digest_of(KEY, "user_id", "ann"), digest_of(KEY, "tenant_id", "Zoë & Söhne")]))


def call(**fields: str) -> LlmCall:
    return LlmCall(event_id=new_event_id(), timestamp=NOW, service="s", **fields)  # type: ignore[arg-type]


def test_events(tombstones: Tombstones) -> None:
    assert tombstones.cover(call(user_id="ann"))
    assert tombstones.cover(call(tenant_id="Zoë & Söhne", user_id="bob"))
    assert not tombstones.cover(call(user_id="anna", tenant_id="ann"))
    assert not tombstones.cover(call())
    assert not tombstones.cover(Run(event_id=new_event_id(), timestamp=NOW, service="ann", component="ann"))


@pytest.mark.parametrize(
    ("line", "covered"),
    [
        (b'{"kind":"llm_call","user_id":"ann","input_tokens":-1', True),
        (b'{"user_id" : "a\\u006en"}', True),
        (b'{"tenant_id":"Zo\\u00eb & S\xc3\xb6hne"}', True),
        (b'{"user_id":"anna","tags":{"friend":"ann"}}', False),
        (b'{"tenant_id":"ann"}', False),
        (b"\xff\xfe ann", False),
    ],
)
def test_lines_that_are_no_event(tombstones: Tombstones, line: bytes, covered: bool) -> None:
    assert tombstones.cover_text(line) is covered


def test_a_process_of_a_pool_gets_them(tombstones: Tombstones) -> None:
    assert pickle.loads(pickle.dumps(tombstones)).cover(call(user_id="ann"))


def test_nobody_was_forgotten() -> None:
    assert not Tombstones()
    assert not Tombstones().cover(call(user_id="ann"))
    assert not Tombstones().cover_text(b'{"user_id":"ann"}')
