"""The Iceberg catalog of a home: a SQLite file for a lake in a folder, AWS Glue for one on S3, or as settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError
from tollmeter.sql.places import open_place

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

NAMESPACE: Final = "tollmeter"
"""Namespace of the tables in a SQLite catalog."""

_FILE: Final = "catalog.sqlite"
_NAMESPACE_PROPERTY: Final = "tollmeter.namespace"


def open_catalog(home: Home) -> Catalog:
    """The catalog of a home, created if missing; tables stand in the one namespace that `namespace_of` names.

    Raises:
        MissingExtraError: pyiceberg is not installed, or boto3 where the catalog is Glue.
    """
    try:
        import pyiceberg.catalog.sql  # noqa: F401 - is it installed?
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyiceberg", "etl") from error
    place = open_place(home)
    place.prepare()
    if is_glue(home):
        from tollmeter.sql.catalogs.glue import glue_catalog

        catalog, namespace = glue_catalog(place, home.place), home.place.database
    else:
        from tollmeter.sql.catalogs.sqlite import sqlite_catalog

        catalog, namespace = sqlite_catalog(catalog_file(home), NAMESPACE, place), NAMESPACE
    catalog.properties[_NAMESPACE_PROPERTY] = namespace
    return catalog


def is_glue(home: Home) -> bool:
    """Whether the home's catalog is AWS Glue."""
    place = home.place
    return place.catalog == "glue" or (place.catalog == "auto" and place.url.startswith("s3://"))


def catalog_file(home: Home) -> Path:
    """The SQLite file of a home's catalog: beside the tables where they lie in a folder."""
    from tollmeter.sql.places.local import LocalPlace

    return (home.lake if home.place.url.startswith("s3://") else LocalPlace(home).folder) / _FILE


def has_lake(home: Home) -> bool:
    """Whether a lake may be there; one in a folder is not made by asking."""
    return is_glue(home) or catalog_file(home).exists()


def namespace_of(catalog: Catalog) -> str:
    """The namespace, in Glue the database, of the lake's tables."""
    return str(catalog.properties.get(_NAMESPACE_PROPERTY, NAMESPACE))


def find_table(catalog: Catalog, name: str) -> Table | None:
    """A table of the lake; None where it has not been made."""
    from pyiceberg.exceptions import NoSuchTableError

    try:
        return catalog.load_table((namespace_of(catalog), name))
    except NoSuchTableError:
        return None
