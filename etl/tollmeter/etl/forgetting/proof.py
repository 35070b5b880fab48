"""The proof: the id searched for in everything that is left, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tollmeter.etl.maintenance.reach import list_files, storage_of
from tollmeter.etl.opening import Opener
from tollmeter.etl.unpack import UnreadableError, codec_of, decompressed

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.etl.forgetting.subject import Subject
    from tollmeter.etl.raw_places import RawPlace
    from tollmeter.model.home import Home

_CHUNK: Final = 4 << 20
_OVERLAP: Final = 64 << 10
_AVRO_MAGIC: Final = b"Obj\x01"
_SYNC_BYTES: Final = 16
Chunks = Iterable[bytes]
Open = Callable[[], AbstractContextManager[Any]]


class Found(NamedTuple):
    """The id stands in a file: the file's path, and where in it."""

    path: str
    where: str


class Searched(NamedTuple):
    """What was searched, in files and bytes as stored, and where the id was found."""

    files: int
    bytes: int
    found: list[Found]


def search(home: Home, tables: dict[str, Table], subject: Subject, places: Iterable[RawPlace] = ()) -> Searched:
    """Look for the id in every file of the tables, of the home and of where raw objects lie, and for older versions.

    Bytes are searched as stored, and what is inside of them: Parquet is read column by column, Avro block by block,
    zstd and gzip are decompressed. Ids count as whole words. Versions that a bucket keeps of what was replaced or
    deleted are not read: that there are any is a finding.
    """
    files, size, found = 0, 0, list[Found]()
    seen, chosen = set[str](), list(places)
    for path, length, open_file in _every_file(home, tables, chosen):
        if path in seen:
            continue
        seen.add(path)
        files, size = files + 1, size + length
        found += [Found(path, where) for where in _look(path, open_file, subject)]
    return Searched(files, size, [*found, *_older(home, chosen)])


def _every_file(home: Home, tables: dict[str, Table], places: Iterable[RawPlace]) -> Iterator[tuple[str, int, Open]]:
    for table in tables.values():
        files, _ = storage_of(table)
        for listed in list_files(table):
            yield listed.path, listed.size, partial(files.open_input_file, listed.path)
    for path in sorted(home.path.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.stat().st_size, partial(path.open, "rb")
    opener = Opener(home)
    for place in places:
        for each in place.objects():
            path_or_key = each.key if each.key.startswith("s3://") else str(home.raw / each.key)
            yield path_or_key, each.size, partial(_opened, opener, each.key)


@contextmanager
def _opened(opener: Opener, key: str) -> Iterator[BinaryIO]:
    with opener.open(key) as found:
        yield found.file


def _older(home: Home, places: Iterable[RawPlace]) -> Iterator[Found]:
    counts = {place.name: place.older_versions() for place in places}
    if home.place.url.startswith("s3://"):
        from tollmeter.etl.raw_places.s3 import older_versions

        counts[home.place.url] = older_versions(home.place, home.place.url)
    for name, count in counts.items():
        if count:
            yield Found(name, f"{count} older versions")


def _look(path: str, open_file: Open, subject: Subject) -> Iterator[str]:
    try:
        with open_file() as file:
            if _stands(_chunks(file), subject):
                yield "bytes"
            file.seek(0)
            suffix = Path(path).suffix
            if suffix == ".parquet":
                yield from _columns(file, subject)
            elif suffix == ".avro":
                if _stands(_blocks(file.read()), subject):
                    yield "avro"
            elif (codec := codec_of(file)) and _stands(_decompressed(file), subject):
                yield codec
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


def _decompressed(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from decompressed(file, _CHUNK)
    except UnreadableError:
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
