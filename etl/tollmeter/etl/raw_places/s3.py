"""Raw objects below a prefix of a bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tollmeter.etl.discover import RawObject, Span, hour_of
from tollmeter.etl.ledger import LOOKBACK_HOURS, Ledger
from tollmeter.etl.sources.s3 import S3Source, object_of
from tollmeter.sql.aws import client

if TYPE_CHECKING:
    from collections.abc import Collection

    from tollmeter.model.home import LakePlace

UPLOADED: Final = "tollmeter-uploaded"
"""Metadata of an object that was written anew: when it was uploaded, for S3 itself knows when it was last written."""

_KEPT: Final = ("CacheControl", "ContentEncoding", "ContentType", "ServerSideEncryption", "SSEKMSKeyId", "StorageClass")
_ALWAYS_LISTED: Final = timedelta(hours=LOOKBACK_HOURS)


class S3Raw:
    """The objects below `s3://bucket/prefix`, or just those of some keys; without what begins with one of `without`."""

    def __init__(
        self,
        place: LakePlace,
        url: str,
        *,
        keys: Collection[str] = (),
        without: tuple[str, ...] = (),
        only_hours: bool = False,
    ) -> None:
        self.name = url
        self._place, self._keys, self._without, self._only_hours = place, keys, without, only_hours

    def objects(self) -> list[RawObject]:
        """All objects, listed anew."""
        if self._keys:
            found = [each for key in sorted(self._keys) if (each := object_of(self._place, key))]
        else:
            found = S3Source(self._place, self.name, Span()).find(Ledger(None)).objects
        return [each for each in found if self._is_mine(each.key)]

    def replace(self, key: str, content: BinaryIO) -> None:
        """Put under the same key, with the type, key of encryption, storage class and metadata it had; tags go."""
        where = _bucket_and_name(key)
        found = self._client.head_object(Bucket=where[0], Key=where[1])
        uploaded = {UPLOADED: found["LastModified"].isoformat()}
        extra = {name: found[name] for name in _KEPT if name in found} | {"Metadata": uploaded | found["Metadata"]}
        self._client.upload_fileobj(content, *where, ExtraArgs=extra)

    def delete(self, key: str) -> None:
        """Delete; in a bucket with versions the last one stays as an older version."""
        bucket, name = _bucket_and_name(key)
        self._client.delete_object(Bucket=bucket, Key=name)

    def uploaded(self, found: RawObject) -> datetime:
        """As its metadata says, looked up only where it was written so long after its hour that this may be another."""
        hour = hour_of(found.key)
        if hour is None or found.modified < hour.start + _ALWAYS_LISTED:
            return found.modified
        bucket, name = _bucket_and_name(found.key)
        known = self._client.head_object(Bucket=bucket, Key=name)["Metadata"].get(UPLOADED)
        return datetime.fromisoformat(known) if known else found.modified

    def is_past(self, found: RawObject, ledger: Ledger) -> bool:
        """Only what came while its hour was listed for certain: of what came later nobody knows whether it was read."""
        hour, uploaded = hour_of(found.key), self.uploaded(found)
        in_time = hour is not None and uploaded < hour.start + _ALWAYS_LISTED
        return in_time and ledger.is_past(replace(found, modified=uploaded))

    def older_versions(self) -> int:
        """Versions that are not the latest."""
        return sum(older_versions(self._place, url) for url in self._keys or (self.name,))

    def _is_mine(self, key: str) -> bool:
        return not key.startswith(self._without) and (not self._only_hours or hour_of(key) is not None)

    @cached_property
    def _client(self) -> Any:
        return client("s3", self._place)


def older_versions(place: LakePlace, url: str) -> int:
    """How many versions below an address are not the latest of their key; each holds what was replaced or deleted."""
    bucket, prefix = _bucket_and_name(url)
    pages = client("s3", place).get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return sum(not found["IsLatest"] for page in pages for found in page.get("Versions", ()))


def _bucket_and_name(key: str) -> tuple[str, str]:
    bucket, _, name = key.removeprefix("s3://").partition("/")
    return bucket, name
