"""Where a lake stands: one file per kind of place, behind one noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.sql.places.base import Place, StateObjects

if TYPE_CHECKING:
    from tollmeter.model.home import Home

__all__ = ["Place", "StateObjects", "open_place"]


def open_place(home: Home) -> Place:
    """The place of a home's lake.

    Raises:
        MissingExtraError: the lake is on S3, and boto3 or pyarrow is not installed.
    """
    if home.place.url.startswith("s3://"):
        from tollmeter.sql.places.s3 import S3Place

        return S3Place(home)
    from tollmeter.sql.places.local import LocalPlace

    return LocalPlace(home)
