"""The proof: the id searched for in everything that is left, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tollmeter.etl.maintenance.reach import list_files, storage_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.etl.forgetting.subject import Subject
    from tollmeter.model.home import Home

_CHUNK: Final = 4 << 20
_OVERLAP: Final = 64 << 10
_CODECS: Final = {".zst": "zstd", ".gz": "gzip"}
_AVRO_MAGIC: Final = b"Obj\x01"
_SYNC_BYTES: Final = 16
Chunks = Iterable[bytes]
Open = Callable[[], Any]


class Found(NamedTuple):
    """The id stands in a file: the file's path, and where in it."""

    path: str
    where: str


class Searched(NamedTuple):
    """What was searched, in files and bytes as stored, and where the id was found."""

    files: int
    bytes: int
    found: list[Found]


def search(home: Home, tables: dict[str, Table], subject: Subject) -> Searched:
    """Look for the id in every file of the tables and of the home: bytes as stored, and what is inside of them.

    Parquet is read column by column, Avro block by block, zstd and gzip are decompressed. Ids count as whole words.
    """
    files, size, found = 0, 0, list[Found]()
    seen = set[str]()
    for path, length, open_file in _every_file(home, tables):
        if path in seen:
            continue
        seen.add(path)
        files, size = files + 1, size + length
        found += [Found(path, where) for where in _look(path, open_file, subject)]
    return Searched(files, size, found)


def _every_file(home: Home, tables: dict[str, Table]) -> Iterator[tuple[str, int, Open]]:
    for table in tables.values():
        files, _ = storage_of(table)
        for listed in list_files(table):
            yield listed.path, listed.size, partial(files.open_input_file, listed.path)
    for path in sorted(home.path.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.stat().st_size, partial(path.open, "rb")


def _look(path: str, open_file: Open, subject: Subject) -> Iterator[str]:
    try:
        with open_file() as file:
            if _stands(_chunks(file), subject):
                yield "bytes"
        suffix = Path(path).suffix
        with open_file() as file:
            if suffix == ".parquet":
                yield from _columns(file, subject)
            elif suffix == ".avro" and _stands(_blocks(file.read()), subject):
                yield "avro"
            elif suffix in _CODECS and _stands(_decompressed(file, suffix), subject):
                yield suffix
    except FileNotFoundError:  # a spool segment that was shipped meanwhile
        return


def _stands(chunks: Chunks, subject: Subject) -> bool:
    held = b""
    for chunk in chunks:
        held = held[-_OVERLAP:] + chunk
        if subject.stands_in(held):
            return True
    return False


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _decompressed(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), _CODECS[suffix])
    try:
        while chunk := stream.read(_CHUNK):
            yield bytes(chunk)
    except (OSError, pa.ArrowException):
        return  # what comes after the damage nobody can read


def _columns(file: BinaryIO, subject: Subject) -> Iterator[str]:
    """Names of the text columns that hold the id."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        parquet = ParquetFile(file)
    except pa.ArrowException:
        return  # torn as it was written: its bytes have been searched
    texts = [field.name for field in parquet.schema_arrow if pa.types.is_string(field.type)]
    for name in texts:
        batches = parquet.iter_batches(columns=[name], batch_size=65_536)
        if any(_stands([_joined(batch.column(0))], subject) for batch in batches):
            yield f"column {name}"


def _joined(column: Any) -> bytes:
    return "\n".join(value for value in column.unique().to_pylist() if value).encode("utf-8", "surrogatepass")


def _blocks(data: bytes) -> Iterator[bytes]:
    """The blocks of an Avro file, decompressed."""
    if not data.startswith(_AVRO_MAGIC):
        return
    file = BytesIO(data)
    file.seek(len(_AVRO_MAGIC))
    codec = _avro_metadata(file).get(b"avro.codec", b"null")
    yield data[: file.tell()]
    file.seek(_SYNC_BYTES, 1)
    while file.tell() < len(data):
        _avro_long(file)
        yield _inflated(codec, file.read(_avro_long(file)))
        file.seek(_SYNC_BYTES, 1)


def _inflated(codec: bytes, block: bytes) -> bytes:
    if codec == b"deflate":
        return zlib.decompress(block, -15)
    if codec == b"zstandard":
        import pyarrow as pa

        return bytes(pa.CompressedInputStream(pa.BufferReader(block), "zstd").read())
    return block


def _avro_metadata(file: BinaryIO) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while count := _avro_long(file):
        if count < 0:
            _avro_long(file)
        for _ in range(abs(count)):
            key = file.read(_avro_long(file))
            found[key] = file.read(_avro_long(file))
    return found


def _avro_long(file: BinaryIO) -> int:
    shift = value = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if not byte[0] & 0x80:
            break
        shift += 7
    return (value >> 1) ^ -(value & 1)
