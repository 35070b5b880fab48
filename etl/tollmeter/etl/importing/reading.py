"""Records of a file one at a time, whatever holds them: JSON lines, a JSON document, CSV or Parquet; gzip or not."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

import msgspec

from tollmeter.etl.importing.source import Source
from tollmeter.model.errors import UsageError

_GZIP: Final = ".gz"
_LISTS: Final = ("data", "logs", "results")
"""Fields in which a JSON document that was answered by an API holds its records."""
_PARQUET_ROWS: Final = 2048
_BLOCK: Final = 1 << 16
_FIELD_BYTES: Final = 1 << 26  # a prompt in a CSV's field may be long


class Record(NamedTuple):
    """One record, or why it cannot be read; `number` is its line or place in the file, from 1."""

    number: int
    values: dict[str, Any]
    fault: str = ""


def files_of(source: Source, paths: Iterable[Path]) -> list[Path]:
    """The files to read, in order; of a folder all below it that have one of the source's endings.

    Raises:
        UsageError: a path is not there, a file has another ending, or a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if _is_wanted(source, file) and file.is_file())
            if not inside:
                raise UsageError(f"{path} holds no file ending in {', '.join(source.suffixes)}")
            found += inside
        elif not path.exists():
            raise UsageError(f"{path} is not there")
        elif not path.name.endswith(source.suffixes):
            raise UsageError(f"{path} does not end in one of {', '.join(source.suffixes)}, as {source.title} do")
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def records_of(path: Path) -> Iterator[Record]:
    """The records of one file; memory is bounded, but for a JSON document, which is read whole.

    Raises:
        OSError: the file cannot be read.
    """
    name = path.name.removesuffix(_GZIP)
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    with _opened(path) as stream:
        if name.endswith(".csv"):
            yield from _csv(stream)
        elif name.endswith(".json") and _is_document(path):
            yield from _document(stream)
        else:
            yield from _lines(stream)


def _is_wanted(source: Source, file: Path) -> bool:
    return file.name.endswith(source.suffixes) and not file.name.startswith(".") and not source.ignored(file)


def _opened(path: Path) -> IO[bytes]:
    opened: Any = gzip.open(path) if path.name.endswith(_GZIP) else path.open("rb")  # noqa: SIM115 - the caller closes it
    return cast("IO[bytes]", opened)


def _is_document(path: Path) -> bool:
    """Whether a .json file is one document: Bedrock's have a record on every line, and the same ending."""
    with _opened(path) as stream:
        line = stream.readline(_BLOCK).strip()
        try:
            first = msgspec.json.decode(line) if line else None
        except msgspec.DecodeError:
            return True
        return not isinstance(first, dict) or not stream.readline(_BLOCK).strip()


def _lines(stream: IO[bytes]) -> Iterator[Record]:
    for number, line in enumerate(_torn(stream), start=1):
        if isinstance(line, str):
            yield Record(number, {}, line)
        elif line.strip():
            yield _decoded(number, line)


def _torn(stream: IO[bytes]) -> Iterator[bytes | str]:
    """Lines, and at the end why the rest of a damaged file cannot be read."""
    try:
        yield from stream
    except (EOFError, OSError) as error:
        yield f"the rest of the file cannot be read: {error}"


def _decoded(number: int, line: bytes) -> Record:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return Record(number, {}, f"no JSON: {error}")
    return Record(number, found) if isinstance(found, dict) else Record(number, {}, "no JSON object")


def _document(stream: IO[bytes]) -> Iterator[Record]:
    try:
        found = msgspec.json.decode(stream.read())
    except (msgspec.DecodeError, EOFError, OSError, RecursionError) as error:
        yield Record(1, {}, f"no JSON: {error}")
        return
    if isinstance(found, dict):
        inner = next((found[name] for name in _LISTS if isinstance(found.get(name), list)), None)
        found = [found] if inner is None or found.get("object") in ("page", "bucket") else inner
    for number, one in enumerate(found if isinstance(found, list) else [found], start=1):
        yield Record(number, one) if isinstance(one, dict) else Record(number, {}, "no JSON object")


def _csv(stream: IO[bytes]) -> Iterator[Record]:
    csv.field_size_limit(min(_FIELD_BYTES, sys.maxsize))
    number = 0
    with io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="") as text:
        try:
            for row in csv.DictReader(text, strict=True):
                number += 1
                # A row with more fields than the header has them under None.
                yield Record(number, {}, "more fields than the header") if None in row else Record(number, dict(row))
        except (csv.Error, EOFError, OSError) as error:
            yield Record(number + 1, {}, f"the rest of the file cannot be read: {error}")


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(number, row)
    except pa.ArrowException as error:
        yield Record(number + 1, {}, f"the rest of the file cannot be read: {error}")
