"""A manifest for `COPY`: the live files of one table, and none of an older snapshot or an unfinished run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import DataError, UsageError

if TYPE_CHECKING:
    from pyiceberg.table import Table

_S3: Final = "s3://"


def copy_manifest(table: Table) -> dict[str, Any]:
    """The manifest, to be stored in S3 as JSON; Redshift wants each Parquet file's length in bytes.

    Its form: docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html.

    Raises:
        UsageError: the files are not in S3, where Redshift reads them.
        DataError: the table has delete files, which COPY would not know of.
    """
    tasks = list(table.scan().plan_files())
    if any(task.delete_files for task in tasks):
        raise DataError(f"table {'.'.join(table.name())} has delete files; only copy-on-write tables can be copied")
    files = sorted((task.file.file_path, task.file.file_size_in_bytes) for task in tasks)
    for path, _size in files:
        if not path.startswith(_S3):
            raise UsageError(f"{path} is not in S3, where Redshift reads")
    return {"entries": [{"url": path, "mandatory": True, "meta": {"content_length": size}} for path, size in files]}
