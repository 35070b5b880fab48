"""S3: one zstd object per segment, by hour of upload; an object that is already there is an acknowledgement.

Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tollmeter.exporters.aws import client, error_code
from tollmeter.exporters.reader import created
from tollmeter.exporters.sinks.raw import compressor, key_for
from tollmeter.model.errors import SettingError

if TYPE_CHECKING:
    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings

_PART: Final = 8 << 20  # S3 wants at least 5 MiB, and 10,000 parts at most: segments up to 80 GB
_IN_MEMORY: Final = 4 << 20
_CHUNK: Final = 1 << 20
_TAKEN: Final = ("PreconditionFailed", "412")
_MISSING: Final = ("404", "NoSuchKey", "NotFound")
_PROBE: Final = ".probe"
_FARTHEST: Final = timedelta(days=14)


class S3Objects:
    """Stores closed segments below one prefix of a bucket, each whole or not at all, never over another.

    Raises:
        SettingError: `raw_url` is not of the form s3://bucket/prefix.
        MissingExtraError: boto3 or zstandard is not installed.
    """

    name = "s3"

    def __init__(self, settings: Settings, home: Home) -> None:
        self._bucket, self._prefix = parse_url(settings.raw_url)
        self._encryption = _encryption(settings.kms_key)
        self._compressor = compressor()
        self._folder = home.state
        self._client = client("s3", settings)

    def key_for(self, segment_id: str, now: datetime) -> str:
        """`<prefix>dt=YYYY-MM-DD/hour=HH/<segment id>.jsonl.zst`, in UTC."""
        return self._prefix + key_for(segment_id, now)

    def find(self, segment_id: str, now: datetime) -> str | None:
        """Look through the hours from the segment's creation until now, back to 14 days."""
        keys = (self.key_for(segment_id, hour) for hour in _hours(segment_id, now))
        return next((key for key in keys if self.exists(key)), None)

    def exists(self, key: str) -> bool:
        """Whether the bucket holds the object."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=key)
        except Exception as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return True

    def store(self, source: Path, key: str) -> None:
        """Compress the segment and put it, in parts where it is large, unless the key is taken.

        Raises:
            OSError: the segment cannot be read, or the disk is full.
            botocore.exceptions.ClientError: S3 refuses.
            botocore.exceptions.BotoCoreError: S3 cannot be reached, or there are no credentials.
        """
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)) as packed:
            with source.open("rb") as read:
                size = source.stat().st_size
                self._compressor.copy_stream(read, packed, size=size, read_size=_CHUNK, write_size=_CHUNK)
            length = packed.tell()
            packed.seek(0)
            try:
                self._put(key, packed, length)
            except Exception as error:
                if error_code(error) not in _TAKEN:
                    raise

    def discard(self, key: str) -> None:
        """Abort the uploads in parts that an attempt left behind."""
        found = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=key)
        for upload in found.get("Uploads", ()):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def probe(self) -> str:
        """Look for an object that is not there, then begin an upload in parts and abort it: nothing is left behind.

        Raises:
            botocore.exceptions.ClientError: looking, writing or the key is not allowed, or there is no such bucket.
            botocore.exceptions.BotoCoreError: S3 cannot be reached, or there are no credentials.
        """
        key = f"{self._prefix}{_PROBE}"
        self.exists(key)
        begun = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **self._encryption)
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=begun["UploadId"])
        self.discard(key)
        return (
            f"stores objects below s3://{self._bucket}/{self._prefix}; looking, writing and listing uploads is allowed"
        )

    def _put(self, key: str, packed: IO[bytes], length: int) -> None:
        where = {"Bucket": self._bucket, "Key": key}
        if length > _PART:
            self._put_parts(where, packed)
        else:
            self._client.put_object(
                **where, **self._encryption, Body=packed.read(), IfNoneMatch="*", ContentType="application/zstd"
            )

    def _put_parts(self, where: dict[str, str], packed: IO[bytes]) -> None:
        begun = self._client.create_multipart_upload(**where, **self._encryption, ContentType="application/zstd")
        upload = {**where, "UploadId": begun["UploadId"]}
        try:
            parts = []
            for number, body in enumerate(iter(lambda: packed.read(_PART), b""), 1):
                answer = self._client.upload_part(**upload, PartNumber=number, Body=body)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            self._client.abort_multipart_upload(**upload)
            raise


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and prefix of an `s3://` address; the prefix is empty or ends with a slash.

    Raises:
        SettingError: it is no such address.

    >>> parse_url("s3://lake/raw")
    ('lake', 'raw/')
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise SettingError("raw_url", url, "an address such as s3://bucket/raw")
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def _encryption(kms_key: str) -> dict[str, Any]:
    if not kms_key:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key, "BucketKeyEnabled": True}


def _hours(segment_id: str, now: datetime) -> Iterator[datetime]:
    since = created(segment_id)
    hour = max(datetime.fromtimestamp(since, UTC) if since else now, now - _FARTHEST)
    hour = hour.replace(minute=0, second=0, microsecond=0)
    while hour <= now:
        yield hour
        hour += timedelta(hours=1)
