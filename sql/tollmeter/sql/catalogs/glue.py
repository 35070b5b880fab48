"""The AWS Glue Data Catalog, which Athena, Redshift Spectrum, EMR and Spark read as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.glue import GlueCatalog

from tollmeter.sql.aws import client

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from tollmeter.model.home import LakePlace
    from tollmeter.sql.places import Place


class CommitOnceCatalog(GlueCatalog):
    """Glue, asked once to move a table's pointer.

    Where boto3 retries an update whose answer was lost, the second one finds a newer version: a commit that has landed
    is reported as failed, and pyiceberg then deletes the files that it wrote, which the table refers to.
    """

    def __init__(self, name: str, place: LakePlace, **properties: Any) -> None:
        super().__init__(name, client("glue", place), **properties)
        self._once = client("glue", place, attempts=1)

    def _update_glue_table(self, database_name: str, table_name: str, table_input: Any, version_id: str) -> None:
        patient, self.glue = self.glue, self._once
        try:
            super()._update_glue_table(database_name, table_name, table_input, version_id)
        finally:
            self.glue = patient


def glue_catalog(place: Place, settings: LakePlace) -> Catalog:
    """The catalog of one Glue database, which is made where it is missing.

    Raises:
        MissingExtraError: boto3 is not installed.
    """
    catalog = CommitOnceCatalog("tollmeter", settings, warehouse=place.warehouse, **place.io_properties)
    if not catalog.namespace_exists(settings.database):
        catalog.create_namespace_if_not_exists(settings.database)
    return catalog
