"""A catalog in a SQLite file, for the processes of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.engine import URL

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.catalog import Catalog

    from tollmeter.sql.places import Place

_BUSY_S: Final = "60"


def sqlite_catalog(file: Path, namespace: str, place: Place) -> Catalog:
    """The catalog in a file, made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    uri = URL.create("sqlite", database=str(file), query={"timeout": _BUSY_S}).render_as_string()
    catalog = SqlCatalog("tollmeter", uri=uri, warehouse=place.warehouse, echo="false", **place.io_properties)
    catalog.create_namespace_if_not_exists(namespace)
    return catalog
