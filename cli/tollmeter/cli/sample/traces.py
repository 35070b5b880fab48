"""Readers of published LLM traces: who asked when, how many tokens went in and came out.

Two formats are known: the Azure LLM inference traces of 2023 (CSV) and the Mooncake traces (JSON lines). Neither holds
a model, a route or a latency.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import msgspec

from tollmeter.model.errors import DataError

AZURE_HEADER: Final = "TIMESTAMP,ContextTokens,GeneratedTokens"
MOONCAKE_BLOCK: Final = 512
"""Tokens that one entry of `hash_ids` stands for."""

_MOONCAKE_KEYS: Final = "timestamp, input_length, output_length, hash_ids"
_ACCEPTED: Final = f"accepted: CSV with the header {AZURE_HEADER}, or JSON lines with {_MOONCAKE_KEYS}"
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of a trace: when, in seconds after the first, and its tokens; cached ones are part of the input."""

    index: int
    offset_s: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


class _MooncakeLine(msgspec.Struct, frozen=True):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int]


def read_trace(path: Path, rows: int | None = None) -> list[TraceRow]:
    """The first `rows` rows of a trace, or all; the format is told from the first line.

    Raises:
        DataError: the file is absent, of no known format, holds no rows, or a row of it cannot be read.
    """
    with _opened(path) as file:
        reader = _reader_of(path, file.readline())
        file.seek(0)
        found = list(itertools.islice(reader(path, file), rows))
    if not found:
        raise DataError(f"{path} holds no rows")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            yield file
    except OSError as error:
        raise DataError(f"cannot read the trace {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8; {_ACCEPTED}") from error


def _reader_of(path: Path, first: str) -> Callable[[Path, TextIO], Iterator[TraceRow]]:
    if first.strip() == AZURE_HEADER:
        return _azure_rows
    if _is_mooncake(first):
        return _mooncake_rows
    raise DataError(f"{path} is no trace that can be replayed: it begins with {first.strip()[:_SHOWN]!r}; {_ACCEPTED}")


def _is_mooncake(line: str) -> bool:
    try:
        msgspec.json.decode(line, type=_MooncakeLine)
    except msgspec.DecodeError:
        return False
    return True


def _azure_rows(path: Path, file: TextIO) -> Iterator[TraceRow]:
    start: datetime | None = None
    next(file)
    lines = (line.strip() for line in file)
    for index, line in enumerate(filter(None, lines)):
        try:
            at, given, made = line.split(",")
            moment = _azure_time(at)
            start = start or moment
            yield TraceRow(index, (moment - start).total_seconds(), _count(given), _count(made))
        except ValueError as error:
            raise _bad_row(path, index + 2, line, AZURE_HEADER) from error


def _azure_time(text: str) -> datetime:
    # Seven decimals and no zone: the traces are in UTC, and a datetime holds six.
    whole, _, fraction = text.partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)


def _mooncake_rows(path: Path, file: TextIO) -> Iterator[TraceRow]:
    cache: set[int] = set()
    start: float | None = None
    lines = (line.strip() for line in file)
    for index, line in enumerate(filter(None, lines)):
        try:
            row = msgspec.json.decode(line, type=_MooncakeLine)
            given, made = _count(row.input_length), _count(row.output_length)
        except (msgspec.DecodeError, ValueError) as error:
            raise _bad_row(path, index + 1, line, _MOONCAKE_KEYS) from error
        start = row.timestamp if start is None else start
        yield TraceRow(index, (row.timestamp - start) / 1000, given, made, min(_cached(row.hash_ids, cache), given))


def _cached(blocks: list[int], cache: set[int]) -> int:
    # A block's id covers all before it, so a hit counts only while every earlier block hit too.
    hits = len(list(itertools.takewhile(cache.__contains__, blocks)))
    cache.update(blocks)
    return hits * MOONCAKE_BLOCK


def _count(value: str | int) -> int:
    number = int(value)
    if number < 0:
        raise ValueError(value)
    return number


def _bad_row(path: Path, number: int, line: str, expected: str) -> DataError:
    return DataError(f"{path}, line {number}: {line[:_SHOWN]!r} is no row; expected {expected}")
