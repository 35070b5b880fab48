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
        at, objects, roots = utc_now(), dict[str, RawObject](), list[str]()
        for prefix, is_timed, outside in self._places(self._prefix, _DEPTH):
            root = self._key(prefix)
            hours = _hours(prefix, self._span.since or ledger.listed_from(root)) if is_timed else []
            roots += [root] if is_timed else []
            objects |= {found.key: found for how in (*outside, *hours) for found in self._listed(how)}
        due = [objects[key] for key in sorted(objects) if self._span.holds(key)]
        return Listing(due, at, tuple(roots) if self._span == Span() else ())

    def acknowledge(self, keys: Collection[str]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _places(self, prefix: str, depth: int) -> Iterator[tuple[str, bool, list[dict[str, str]]]]:
        """Prefixes, whether hours lie right below, and the listings that find what is in no hour there."""
        if not depth:
            yield prefix, False, [{"Prefix": prefix}]
            return
        here = {"Prefix": prefix, "Delimiter": "/"}
        below = [found["Prefix"] for page in self._pages(**here) for found in page.get("CommonPrefixes", ())]
        others = [found for found in below if not _TIMED.match(found.removeprefix(prefix))]
        yield prefix, len(others) < len(below), [here]
        for found in others:
            yield from self._places(found, depth - 1)

    def _listed(self, how: dict[str, str]) -> Iterator[RawObject]:
        for page in self._pages(**how):
            for found in page.get("Contents", ()):
                name = found["Key"].rpartition("/")[2]
                if name and not name.startswith("."):
                    yield RawObject(self._key(found["Key"]), found["Size"], found["LastModified"].astimezone(UTC))

    def _pages(self, **how: Any) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, **how
        )
        return pages

    def _key(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"


def _hours(prefix: str, since: datetime | None) -> list[dict[str, str]]:
    """Listings that together have every hour, or every one from `since` on, in either layout."""
    layouts = {f"{prefix}dt=": "dt=%Y-%m-%d/hour=%H", f"{prefix}20": "%Y/%m/%d/%H", f"{prefix}21": "%Y/%m/%d/%H"}
    if since is None:
        return [{"Prefix": start} for start in layouts]
    return [{"Prefix": start, "StartAfter": f"{prefix}{since:{form}}"} for start, form in layouts.items()]


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
