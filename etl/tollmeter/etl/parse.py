"""One verdict per line, whatever its neighbours: an event, or the fault that keeps it out of the lake."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final, NamedTuple

import msgspec

from tollmeter.etl.lines import MAX_LINE_BYTES, Line
from tollmeter.model.columns import COLUMNS, MONEY_PRECISION, MONEY_SCALE
from tollmeter.model.emf import DIRECTIVES, without_emf
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Run, Step, decode
from tollmeter.model.names import KIND_EVALUATION, KIND_LLM_CALL, KIND_REQUEST, KIND_RUN, KINDS

NOT_UTF8: Final = "not_utf8"
NOT_JSON: Final = "not_json"
TOO_LONG: Final = "too_long"
UNREADABLE: Final = "unreadable"
UNKNOWN_KIND: Final = "unknown_kind"
INVALID: Final = "invalid"
MONEY: Final = "money"
REASONS: Final = (NOT_UTF8, NOT_JSON, TOO_LONG, UNREADABLE, UNKNOWN_KIND, INVALID, MONEY)

CLOCK_SKEW: Final = timedelta(days=1)
"""How far in the future an event may lie."""

MAX_DEPTH: Final = 64
"""How deep objects and arrays of a line may nest."""

MONEY_UNIT: Final = Decimal(1).scaleb(-MONEY_SCALE)
"""The smallest amount the lake holds, in USD."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONEY_LIMIT: Final = 10 ** (MONEY_PRECISION - MONEY_SCALE)
_EXACT: Final = Context(prec=MONEY_PRECISION, traps=[Inexact, InvalidOperation])
_MONEY_FIELDS: Final = {
    fields: tuple(c.name for c in COLUMNS if c.type == "money" and c.name in fields)
    for fields in (Request.__struct_fields__, LlmCall.__struct_fields__)
}
SIGNED_MONEY: Final = frozenset({"cache_savings_usd"})
_JSON_FIELDS: Final = frozenset(c.name for c in COLUMNS if c.type == "json")
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]')
_MAX_DETAIL: Final = 500


class Fault(NamedTuple):
    """Why a line is quarantined: the class of the fault, and what was found."""

    reason: str
    detail: str


class Parsed(NamedTuple):
    """A valid event, the JSON text of what it does not model, and the texts of those JSON columns that hold anything.

    The texts are compact; on a line with fields that this version does not know they are as the line spelled them.
    """

    event: Event
    extra: str | None
    texts: dict[str, str]

    @classmethod
    def of(cls, event: Event) -> Parsed:
        """An event with nothing beside it."""
        texts = {name: value for name in _json_fields(event) if (value := getattr(event, name))}
        return cls(event, None, {name: msgspec.json.encode(value).decode() for name, value in texts.items()})


class _Step(Step, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class _Request(
    Request,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    tag=KIND_REQUEST,
    forbid_unknown_fields=True,
):
    steps: list[_Step] = msgspec.field(default_factory=list)  # type: ignore[assignment]


class _LlmCall(
    LlmCall,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    tag=KIND_LLM_CALL,
    forbid_unknown_fields=True,
):
    pass


class _Evaluation(
    Evaluation,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    tag=KIND_EVALUATION,
    forbid_unknown_fields=True,
):
    pass


class _Run(
    Run, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=KIND_RUN, forbid_unknown_fields=True
):
    pass


# Nearly every line holds known fields only; this decoder accepts those in one pass, and all others are read twice.
_known: Final = msgspec.json.Decoder(_Request | _LlmCall | _Evaluation | _Run)
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_line(line: Line, now: datetime) -> Parsed | Fault:
    """The verdict on one line; it depends on the line and on `now` (the latest plausible time less a day) alone.

    >>> parse_line(Line(b'{"kind": "span"}', 16), datetime(2026, 1, 1, tzinfo=UTC)).reason
    'unknown_kind'
    """
    if line.unreadable:
        return Fault(UNREADABLE, f"the rest of the object cannot be read: {line.unreadable}")
    if line.size > MAX_LINE_BYTES:
        return Fault(TOO_LONG, f"{line.size} bytes, {MAX_LINE_BYTES} are allowed")
    return text_fault(line.data) or _depth_fault(line.data) or _parse(line.data, now + CLOCK_SKEW)


def is_plain(data: bytes) -> bool:
    """Whether `text_fault` finds nothing on any line of `data`, without looking closely: True is certain."""
    try:
        if not data.isascii():
            data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data and (b"\\" not in data or b"\\u0000" not in data)  # one byte is found much faster


def text_fault(data: bytes) -> Fault | None:
    """What is wrong with the characters of a line, where anything is."""
    try:
        if not data.isascii():
            data.decode()
    except UnicodeDecodeError as error:
        return Fault(NOT_UTF8, f"byte {data[error.start]:#04x} at offset {error.start}: {error.reason}")
    if b"\0" in data:
        return Fault(NOT_JSON, f"NUL byte at offset {data.index(0)}")
    if b"\\u0000" in data and _ESCAPED_NUL.search(data):
        return Fault(INVALID, "a text holds the character NUL, which databases refuse")
    return None


def _depth_fault(data: bytes) -> Fault | None:
    """A bound of our own: the decoder's depends on how deep the caller stands."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return None
    depth = 0
    for found in _BRACKET.finditer(data):
        mark = data[found.start()]
        depth += (mark in b"[{") - (mark in b"]}")
        if depth > MAX_DEPTH:
            return Fault(NOT_JSON, f"nested too deeply: more than {MAX_DEPTH} levels")
    return None


def _parse(data: bytes, latest: datetime) -> Parsed | Fault:
    try:
        parsed = _decode(data)
    except msgspec.ValidationError as error:
        return _fault_of(str(error))
    except msgspec.DecodeError as error:
        return Fault(NOT_JSON, str(error) if data.strip() else "the line is empty")
    except RecursionError:
        return Fault(NOT_JSON, "nested too deeply")
    event = parsed.event
    if not _EPOCH <= event.timestamp <= latest:
        return Fault(INVALID, f"timestamp {event.timestamp.isoformat()} is not between 1970 and {latest.isoformat()}")
    money = _MONEY_FIELDS.get(event.__struct_fields__, ())
    return next((fault for name in money if (fault := _money_fault(event, name))), parsed)


def _decode(data: bytes) -> Parsed:
    try:
        return Parsed.of(_known.decode(data))
    except msgspec.DecodeError:
        fields = _fields.decode(data)
    if DIRECTIVES in fields:  # a line of Lambda, which is its own metrics
        fields = without_emf(fields)
        data = msgspec.json.encode(fields)
    event = decode(data)
    known = event.__struct_fields__
    unknown = {name: raw for name, raw in fields.items() if name not in known and name != "kind"}
    extra = msgspec.json.encode(unknown).decode() if unknown else None
    spelled = [name for name in _json_fields(event) if getattr(event, name)]
    return Parsed(event, extra, {name: bytes(fields[name]).decode() for name in spelled})


def _json_fields(event: Event) -> tuple[str, ...]:
    return tuple(name for name in event.__struct_fields__ if name in _JSON_FIELDS)


def _fault_of(message: str) -> Fault:
    if "`$.kind`" in message or "required field `kind`" in message:
        return Fault(UNKNOWN_KIND, f"{message[:_MAX_DETAIL]}; known: {', '.join(KINDS)}")
    return Fault(INVALID, message[:_MAX_DETAIL])


def _money_fault(event: Event, name: str) -> Fault | None:
    value: Decimal | None = getattr(event, name)
    if value is None:
        return None
    try:
        exact = value.quantize(MONEY_UNIT, context=_EXACT)
    except Inexact:
        return Fault(MONEY, f"{name}={str(value)[:64]} has more than {MONEY_SCALE} decimals")
    except InvalidOperation:
        exact = None
    if exact is None or not exact.is_finite() or (exact < 0 and name not in SIGNED_MONEY):
        return Fault(MONEY, f"{name}={str(value)[:64]} is not an amount of 0 or more and less than {_MONEY_LIMIT}")
    return None
