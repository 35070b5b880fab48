"""Raw objects opened by their key, wherever they lie; one on S3 is fetched to a file first: memory is bounded."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tollmeter.model.errors import DataError
from tollmeter.sql.aws import client, error_code

if TYPE_CHECKING:
    from pathlib import Path

    from tollmeter.model.home import Home

_MISSING: Final = ("NoSuchKey", "404")
_IN_MEMORY: Final = 8 << 20


class Opened(NamedTuple):
    """An object that can be read from its start: the file, the digest of its bytes as stored (hex), their number."""

    file: BinaryIO
    sha256: str
    size: int


class Opener:
    """Opens the raw objects of a home's sources."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @contextmanager
    def open(self, key: str) -> Iterator[Opened]:
        """An object, by its key.

        Raises:
            DataError: it is gone.
        """
        with self._fetched(key) if key.startswith("s3://") else self._local(key) as found:
            file: Any = found
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            yield Opened(file, digest, size)

    def path_of(self, key: str) -> Path | None:
        """Where an object lies on this machine; None where it does not."""
        return None if key.startswith("s3://") else self._home.raw / key

    @contextmanager
    def scratch(self) -> Iterator[Any]:
        """A file below the home's `state/` that has no name: nothing is left of it, whatever happens."""
        folder = self._home.state / "etl"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder)) as file:
            yield file

    def _local(self, key: str) -> BinaryIO:
        try:
            return (self._home.raw / key).open("rb")
        except FileNotFoundError:
            raise _gone(key) from None

    @contextmanager
    def _fetched(self, key: str) -> Iterator[Any]:
        bucket, _, name = key.removeprefix("s3://").partition("/")
        with self.scratch() as file:
            try:
                self._s3.download_fileobj(bucket, name, file)
            except Exception as error:
                if error_code(error) in _MISSING:
                    raise _gone(key) from None
                raise
            file.seek(0)
            yield file

    @cached_property
    def _s3(self) -> Any:
        return client("s3", self._home.place)


def _gone(key: str) -> DataError:
    return DataError(
        f"raw object {key!r} vanished while its batch is unfinished; put it back, or delete the plan in state/etl/plans"
    )
