"""Raw objects below a prefix of a bucket, listed by upload hour.

Keys come in the order of their bytes: a listing that starts after an hour's prefix has all later hours, none earlier.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.discover import RawObject, Span
from tollmeter.etl.ledger import Ledger, Listing
from tollmeter.model.events import utc_now
from tollmeter.sql.aws import client, error_code

if TYPE_CHECKING:
    from tollmeter.model.home import LakePlace

_TIMED: Final = re.compile(r"dt=\d{4}-\d\d-\d\d/|\d{4}/")
_DEPTH: Final = 3


class S3Source:
    """The objects below `s3://bucket/prefix`, whose hours may lie below further prefixes, such as one per account."""

    whole_hours = True

    def __init__(self, place: LakePlace, url: str, span: Span) -> None:
        self.name = url
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._client, self._span = client("s3", place), span

    def find(self, ledger: Ledger) -> Listing:
        """The objects; each root's hours from where the ledger has not closed them for long."""
        at, objects, roots = utc_now(), list[RawObject](), list[str]()
        for prefix, is_timed in self._places(self._prefix, _DEPTH):
            root = self._key(prefix)
            if is_timed:
                roots.append(root)
            since = self._span.since or (ledger.listed_from(root) if is_timed else None)
            objects += self._listed(prefix, since, direct=not is_timed)
        return Listing(sorted(objects, key=lambda found: found.key), at, tuple(roots) if self._span == Span() else ())

    def hour(self, prefix: str) -> Iterator[RawObject]:
        """All objects of one hour, by what their keys begin with."""
        return self._listed(prefix.removeprefix(f"s3://{self._bucket}/"), None, direct=False)

    def acknowledge(self, keys: Collection[str]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _places(self, prefix: str, depth: int) -> Iterator[tuple[str, bool]]:
        """Prefixes that hold hours, and those on the way whose own objects tell none."""
        pages = self._pages(Prefix=prefix, Delimiter="/")
        below = [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", ())]
        is_timed = any(_TIMED.match(found.removeprefix(prefix)) for found in below)
        yield prefix, is_timed
        if not is_timed and depth:
            for found in below:
                yield from self._places(found, depth - 1)

    def _listed(self, prefix: str, since: datetime | None, *, direct: bool) -> Iterator[RawObject]:
        how: dict[str, str] = {"Delimiter": "/"} if direct else {}
        starts = _starts(prefix, since) if since and not direct else [how]
        seen = set[str]()
        for start in starts:
            for page in self._pages(Prefix=start.pop("Prefix", prefix), **start):
                for found in page.get("Contents", ()):
                    key = self._key(found["Key"])
                    if key not in seen and self._is_due(key, since):
                        seen.add(key)
                        yield RawObject(key, found["Size"], found["LastModified"].astimezone(UTC))

    def _is_due(self, key: str, since: datetime | None) -> bool:
        name = key.rpartition("/")[2]
        return bool(name) and not name.startswith(".") and self._span.from_hour(since).holds(key)

    def _pages(self, **how: Any) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, **how
        )
        return pages

    def _key(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"


def _starts(prefix: str, since: datetime) -> list[dict[str, str]]:
    """Listings that together have every hour from `since` on, in either layout; years sort before `dt=`."""
    return [
        {"Prefix": f"{prefix}dt=", "StartAfter": f"{prefix}dt={since:%Y-%m-%d}/hour={since:%H}"},
        *({"Prefix": f"{prefix}{century}", "StartAfter": f"{prefix}{since:%Y/%m/%d/%H}"} for century in ("20", "21")),
    ]


def object_of(place: LakePlace, key: str) -> RawObject | None:
    """One object, by its key; None where it is not there."""
    bucket, _, name = key.removeprefix("s3://").partition("/")
    try:
        found = client("s3", place).head_object(Bucket=bucket, Key=name)
    except Exception as error:
        if error_code(error) in ("404", "NoSuchKey", "NotFound"):
            return None
        raise
    return RawObject(key, found["ContentLength"], found["LastModified"].astimezone(UTC))
