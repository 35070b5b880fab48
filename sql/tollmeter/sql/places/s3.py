"""A lake below a prefix of an S3 bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError
from tollmeter.sql.aws import client, error_code, frozen_credentials

if TYPE_CHECKING:
    import duckdb
    from pyarrow.fs import FileSystem

    from tollmeter.model.home import Home, LakePlace
    from tollmeter.sql.places.base import StateObjects

_TAKEN: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_MISSING: Final = ("NoSuchKey", "404")
STATE: Final = "_state"  # Spectrum and Athena pass over what begins with an underscore


class S3Place:
    """The prefix that `lake_url` names.

    Raises:
        MissingExtraError: boto3 or pyarrow is not installed.
    """

    def __init__(self, home: Home) -> None:
        self._place = home.place
        self.warehouse = home.place.url
        self._bucket, _, self._prefix = home.place.url.removeprefix("s3://").partition("/")
        self.io_properties = {
            "py-io-impl": "tollmeter.sql.s3_io.S3FileIO",
            "s3.region": self._place.region,
            "s3.endpoint": self._place.endpoint,
            "s3.role-arn": self._place.role_arn,
            "s3.sse.kms-key-id": self._place.kms_key,
        }

    def exists(self) -> bool:
        """Always: the bucket is made by whoever deploys."""
        return True

    def prepare(self) -> None:
        """Nothing to do."""

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give DuckDB a file system for `s3://`; its own extension for it cannot be had everywhere."""
        from fsspec.implementations.arrow import ArrowFSWrapper

        class S3Wrapper(ArrowFSWrapper):  # type: ignore[misc] # fsspec has no types
            protocol = "s3"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as in fsspec itself

        connection.register_filesystem(S3Wrapper(file_system(self._place), skip_instance_cache=True))

    def files(self) -> tuple[FileSystem, str]:
        """S3, and bucket and prefix."""
        return file_system(self._place), self.warehouse.removeprefix("s3://")

    def state(self) -> StateObjects:
        """Objects below `_state/`, beside the tables."""
        return S3State(self._place, self._bucket, "/".join(filter(None, (self._prefix, STATE))) + "/")


class S3State:
    """State objects of one prefix; written whole or not at all, as S3 does."""

    def __init__(self, place: LakePlace, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client("s3", place), bucket, prefix
        self._encryption = encryption(place.kms_key)

    def read(self, name: str) -> bytes | None:
        """The bytes of an object."""
        try:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read())
        except Exception as error:
            if error_code(error) in _MISSING:
                return None
            raise

    def create(self, name: str, content: bytes) -> bool:
        """Put with `If-None-Match: *`."""
        try:
            self._put(name, content, IfNoneMatch="*")
        except Exception as error:
            if error_code(error) in _TAKEN:
                return False
            raise
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Put."""
        self._put(name, content)

    def delete(self, name: str) -> None:
        """Delete."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def names(self, prefix: str) -> list[str]:
        """List."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        return [found["Key"].removeprefix(self._prefix) for page in pages for found in page.get("Contents", ())]

    def _put(self, name: str, content: bytes, **condition: str) -> None:
        self._client.put_object(
            Bucket=self._bucket, Key=self._prefix + name, Body=content, **self._encryption, **condition
        )


def encryption(kms_key: str) -> dict[str, Any]:
    """Arguments of a put that ask for SSE-KMS with a key; none without."""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key, "BucketKeyEnabled": True} if kms_key else {}


def file_system(place: LakePlace) -> FileSystem:
    """S3 as pyarrow sees it, under the credentials of the moment.

    Raises:
        MissingExtraError: boto3 or pyarrow is not installed.
    """
    try:
        from pyarrow.fs import S3FileSystem
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "etl") from error
    found = frozen_credentials(place)
    return S3FileSystem(
        access_key=found.access_key,
        secret_key=found.secret_key,
        session_token=found.token,
        region=found.region,
        endpoint_override=place.endpoint or None,
    )
