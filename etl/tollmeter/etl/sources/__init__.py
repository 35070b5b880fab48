"""Where raw objects come from: one file per kind of source, behind one noun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollmeter.etl.discover import Span
from tollmeter.etl.sources.base import Source
from tollmeter.model.errors import SettingError

if TYPE_CHECKING:
    from tollmeter.model.home import Home

__all__ = ["Source", "open_source", "open_sources"]

_ALLOWED = "a folder, an address such as s3://bucket/raw, or the URL of an SQS queue"


def open_sources(home: Home, names: tuple[str | Source, ...], span: Span) -> Iterator[Source]:
    """The sources of those names, those that are open already as they are; without any, the home's own raw folder.

    Raises:
        SettingError: a name is no source.
        MissingExtraError: one is on AWS, and boto3 is not installed.
    """
    for name in names or ("",):
        yield open_source(home, name, span) if isinstance(name, str) else name


def open_source(home: Home, name: str, span: Span) -> Source:
    """A source: a folder, `s3://bucket/prefix`, or the URL of an SQS queue that is told of new objects.

    Raises:
        SettingError: it is none of those.
        MissingExtraError: it is on AWS, and boto3 is not installed.
    """
    scheme, sign, rest = name.partition("://")
    if not sign:
        from tollmeter.etl.sources.folder import FolderSource

        return FolderSource(home, name, span)
    if scheme == "s3" and rest.partition("/")[0] and "?" not in rest:
        from tollmeter.etl.sources.s3 import S3Source

        return S3Source(home.place, name, span)
    if scheme in ("http", "https") and rest.count("/") > 1:
        from tollmeter.etl.sources.sqs import QueueSource

        return QueueSource(home.place, name, span)
    raise SettingError("source", name, _ALLOWED)
