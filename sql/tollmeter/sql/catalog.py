"""The Iceberg catalog of a home: embedded, SQLite beside the warehouse folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from tollmeter.model.home import Home

NAMESPACE: Final = "tollmeter"


def open_catalog(home: Home) -> Catalog:
    """The catalog of a home, created if missing; tables stand in the namespace `tollmeter`.

    Raises:
        MissingExtraError: pyiceberg is not installed.
    """
    try:
        from pyiceberg.catalog.sql import SqlCatalog
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyiceberg", "etl") from error
    home.lake.mkdir(parents=True, exist_ok=True)
    from sqlalchemy.engine import URL

    uri = URL.create("sqlite", database=str(home.lake / "catalog.sqlite")).render_as_string()
    # A plain path: pyiceberg cuts a `file:` address at the first `#` or `?` and would write elsewhere.
    catalog = SqlCatalog("tollmeter", uri=uri, warehouse=str(home.lake), echo="false")
    catalog.create_namespace_if_not_exists(NAMESPACE)
    return catalog
