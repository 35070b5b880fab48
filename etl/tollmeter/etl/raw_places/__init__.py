"""Where raw objects lie that runs have read or will read, to change or delete them: one file per kind of place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollmeter.etl.discover import hour_of
from tollmeter.etl.raw_places.base import RawPlace
from tollmeter.etl.raw_places.folder import FolderRaw

if TYPE_CHECKING:
    from tollmeter.etl.ledger import Ledger
    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings

__all__ = ["RawPlace", "raw_places"]

_S3 = "s3://"


def raw_places(home: Home, settings: Settings, ledger: Ledger) -> list[RawPlace]:
    """The home's raw folder, where `raw_url` says, and wherever else the ledger knows objects from; no object twice.

    Of a place that the ledger alone knows, the objects of upload hours count, and those that it names one by one. What
    lies below the address of the lake is none.

    Raises:
        MissingExtraError: one is on AWS, and boto3 is not installed.
    """
    return [FolderRaw(home), *_buckets(home, settings, ledger), *_folders(home, ledger)]


def _buckets(home: Home, settings: Settings, ledger: Ledger) -> Iterator[RawPlace]:
    own = f"{settings.raw_url.rstrip('/')}/" if settings.raw_url.startswith(_S3) else ""
    lake = (f"{home.place.url.rstrip('/')}/",) if home.place.url.startswith(_S3) else ()
    without = (*lake, own) if own else lake
    roots = _outermost(root for root in ledger.hour_roots() if root.startswith(_S3) and not root.startswith(without))
    named = [
        key
        for key in sorted(ledger.objects)
        if key.startswith(_S3) and not hour_of(key) and not key.startswith(without)
    ]
    if not (own or roots or named):
        return
    from tollmeter.etl.raw_places.s3 import S3Raw

    if own:
        yield S3Raw(home.place, own, without=lake)
    for root in roots:
        yield S3Raw(home.place, root, without=without, only_hours=True)
    buckets = {key[: key.index("/", len(_S3)) + 1] for key in named}
    for bucket in sorted(buckets):
        yield S3Raw(home.place, bucket, keys=[key for key in named if key.startswith(bucket)])


def _folders(home: Home, ledger: Ledger) -> Iterator[RawPlace]:
    """Folders elsewhere, whose keys are whole paths."""
    for root in _outermost(root for root in ledger.hour_roots() if root.startswith("/")):
        yield FolderRaw(home, root, only_hours=True)
    if named := [key for key in ledger.objects if key.startswith("/") and not hour_of(key)]:
        yield FolderRaw(home, "/", keys=named)


def _outermost(roots: Iterator[str]) -> list[str]:
    """Roots that do not lie below another."""
    found = list[str]()
    for root in sorted(roots):
        if not found or not root.startswith(found[-1]):
            found.append(root)
    return found
