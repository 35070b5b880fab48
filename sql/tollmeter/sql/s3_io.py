"""Iceberg's files on S3: read by pyarrow, under the credentials that boto3 finds, and written with SSE-KMS if asked.

pyarrow's own S3 knows neither SSO profiles nor server-side encryption with a key, and s3fs pins a boto3 of its own.
"""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, Self

from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from tollmeter.model.home import LakePlace
from tollmeter.sql.aws import client
from tollmeter.sql.places.s3 import encryption, file_system

if TYPE_CHECKING:
    from types import TracebackType

    from pyarrow.fs import FileSystem
    from pyiceberg.typedef import Properties

_IN_MEMORY: Final = 16 << 20


class S3FileIO(PyArrowFileIO):
    """pyarrow's file IO with two differences: where its credentials come from, and how an encrypted file is written."""

    def __init__(self, properties: Properties) -> None:
        super().__init__(properties=properties)
        self._place = LakePlace(
            region=properties.get("s3.region", ""),
            endpoint=properties.get("s3.endpoint", ""),
            role_arn=properties.get("s3.role-arn", ""),
            kms_key=properties.get("s3.sse.kms-key-id", ""),
        )
        self.fs_by_scheme = self._file_system

    def new_output(self, location: str) -> PyArrowFile:
        """A file to be written; through boto3 where it is to be encrypted with a key."""
        if not self._place.kms_key:
            return super().new_output(location)
        _, _, path = self.parse_location(location)
        return KmsFile(location, path, self._file_system(), self._place)

    def _file_system(self, scheme: str = "s3", netloc: str | None = None) -> FileSystem:
        del scheme, netloc
        return file_system(self._place)


class KmsFile(PyArrowFile):
    """A file that is put with SSE-KMS when it is closed."""

    def __init__(self, location: str, path: str, fs: FileSystem, place: LakePlace) -> None:
        super().__init__(location, path, fs)
        self._place = place

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002 - pyiceberg's signature
        """A stream whose bytes are put when it is closed.

        Raises:
            FileExistsError: the file exists, and is not to be overwritten.
        """
        if not overwrite and self.exists():
            raise FileExistsError(self.location)
        return _Upload(self.location, self._place)


class _Upload(OutputStream):
    def __init__(self, location: str, place: LakePlace) -> None:
        self._bucket, _, self._key = location.removeprefix("s3://").partition("/")
        self._place = place
        self._held: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self.closed = False

    def write(self, b: bytes) -> int:
        return self._held.write(b)

    def tell(self) -> int:
        return self._held.tell()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        with self._held as held:
            held.seek(0)
            keyed = encryption(self._place.kms_key)
            client("s3", self._place).put_object(Bucket=self._bucket, Key=self._key, Body=held, **keyed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exctype: type[BaseException] | None, excinst: BaseException | None, exctb: TracebackType | None
    ) -> None:
        if exctype is None:
            self.close()
        else:
            self.closed = True
            self._held.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)
