"""Lines of events, and what goes wrong with lines: for fuzzing whatever reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Run, Step, encode
from tollmeter.model.ids import imported_event_id

_START: Final = datetime(2026, 11, 1, tzinfo=UTC)
_TOKENS: Final[tuple[bytes, ...]] = (
    b"NaN", b"Infinity", b"-0", b"1e400", b"1e-400", b"39.5", b'"3980"', b"9223372036854775807", b"9223372036854775808",
    b"-1", b"1" + b"0" * 60, b"null", b"true", b"[]", b"{}", b'""', b'"NaN"', b'"0.0000000000001"', b'"1e-12"', b'" 1"',
    b'"1_0"', b'"-0.5"', b'"999999.999999999999"', b'"1000000"', b"0.001", b'"\\u0000"', b'"\\\\u0000"', b'"\\ud800"',
    b'"\xff"', b'"\xc3\xa9"', b'"2026-11-01T02:00:00+02:00"', b'"2026-11-01T00:00:00"', b'"0001-01-01T00:00:00+05:00"',
    b'"9999-12-31T23:59:59-05:00"', b'"1969-12-31T23:59:59Z"', b'"2026-11-01T00:00:00.123456789Z"',
    b'"2026-11-01 00:00:00Z"', b"1700000000", b'"01a20823-4d53-70f8-8304-24e3465151ac"',
    b'"01A20823-4D53-70F8-8304-24E3465151AC"', b'"01a20823-4d53-70f8-8304-24e3465151ac\\n"', b'{"a": "b"}', b'{"a": 1}',
    b'{"a":"1","a":"2"}', b"[" * 70 + b"]" * 70, b'[{"name":"x","start_ms":1,"duration_ms":2}]',
    b'"' + b"x" * 5000 + b'"',
)  # fmt: skip


def whole_events(dice: Random) -> Iterator[Event]:
    """Events of every kind without end, most of them calls; some ids come again."""
    makers: list[Callable[[dict[str, Any], Random], Event]] = [_call, _call, _request, _evaluation, _run]
    while True:
        number = dice.randrange(1 << 40) if dice.random() < 0.98 else dice.randrange(50)
        identity: dict[str, Any] = {
            "event_id": imported_event_id("fuzz", str(number)),
            "timestamp": _START + timedelta(microseconds=dice.randrange(10**12)),
            "service": dice.choice(("chat", "sök", "a\\b")),
        }
        yield dice.choice(makers)(identity, dice)


def mutated_lines(dice: Random) -> Iterator[bytes]:
    """Lines without end: a third whole, the others damaged once or twice."""
    before = b"{}"
    for event in whole_events(dice):
        line = encode(event)[:-1]
        for _ in range(dice.choice((0, 1, 1, 2))):
            line = dice.choice(_MUTATIONS)(line, before, dice)
        before = line
        yield line.replace(b"\n", b" ")


def _call(identity: dict[str, Any], dice: Random) -> Event:
    return LlmCall(
        **identity,
        input_tokens=dice.choice((None, 0, dice.randrange(10**6), 2**63 - 1)),
        cost_usd=dice.choice((None, Decimal(dice.randrange(10**9)).scaleb(-12))),
        cache_savings_usd=dice.choice((None, Decimal(dice.randrange(-(10**9), 10**9)).scaleb(-12))),
        latency_ms=dice.random() * 1000,
        stream=dice.random() < 0.5,
        tags=dice.choice(({}, {"a": "é"}, {"a": "b", "c": "d"})),
        server_tool_calls=dice.choice(({}, {"web_search": 2})),
    )


def _request(identity: dict[str, Any], dice: Random) -> Event:
    steps = [Step(name="retrieve", start_ms=1.0, duration_ms=dice.random())] if dice.random() < 0.5 else []
    return Request(**identity, status_code=dice.choice((None, 200, 500)), steps=steps, user_id=dice.choice(("", "u")))


def _evaluation(identity: dict[str, Any], dice: Random) -> Event:
    return Evaluation(**identity, call_id=imported_event_id("fuzz", "call"), name="ok", score=dice.gauss(0, 1e6))


def _run(identity: dict[str, Any], dice: Random) -> Event:
    return Run(**identity, component="etl", counts={"x": dice.randrange(9)}, lag_ms=dice.choice((None, 1.5)))


def _flip(line: bytes, _: bytes, dice: Random) -> bytes:
    changed = bytearray(line)
    changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _cut(line: bytes, _: bytes, dice: Random) -> bytes:
    start = dice.randrange(len(line))
    return line[:start] + line[start + dice.randrange(1, 40) :] or b"{"


def _truncate(line: bytes, _: bytes, dice: Random) -> bytes:
    return line[: dice.randrange(1, len(line) + 1)]


def _splice(line: bytes, before: bytes, dice: Random) -> bytes:
    return line + dice.choice((b"", b",", b" ", b"\r")) + before[dice.randrange(len(before)) :]


def _insert(line: bytes, _: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(line))
    return line[:place] + dice.choice((*_TOKENS, b"\0", b"\xff", b"\r", b"\\", b'"', b"{", b"}", b",")) + line[place:]


def _value(line: bytes, _: bytes, dice: Random) -> bytes:
    """Another value for one of the fields."""
    colons = [place for place, byte in enumerate(line) if byte == ord(":") and line[place - 1] == ord('"')]
    if not colons:
        return line + b"}"
    start = dice.choice(colons) + 1
    end = min((place for mark in (b',"', b"}") if (place := line.find(mark, start)) > 0), default=len(line))
    return line[:start] + dice.choice(_TOKENS) + line[end:]


def _field(line: bytes, _: bytes, dice: Random) -> bytes:
    """One more field: unknown, or one that may be there already."""
    names = (
        b"zz",
        b"extra",
        b"batch_id",
        b"kind",
        b"event_id",
        b"timestamp",
        b"input_tokens",
        b"cost_usd",
        b"tags",
        b"steps",
    )
    value = dice.choice((*_TOKENS, b'"run"', b'"llm_call"'))
    return line[:-1] + b',"' + dice.choice(names) + b'":' + value + b"}"


_MUTATIONS: Final = (_flip, _cut, _truncate, _splice, _insert, _value, _value, _value, _field, _field)
