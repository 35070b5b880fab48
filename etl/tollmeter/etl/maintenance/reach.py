"""Which files a table needs: all that its metadata leads to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


class Listed(NamedTuple):
    """A file in a table's storage: its path there, its size in bytes, when it was last changed (seconds, UTC)."""

    path: str
    size: int
    modified: float


def needed_paths(table: Table) -> set[str]:
    """Paths of every file that the table's metadata leads to, from any snapshot, branch, tag or logged version."""
    metadata = table.metadata
    addresses = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    addresses |= {statistics.statistics_path for statistics in (*metadata.statistics, *metadata.partition_statistics)}
    return {path_of(table, address) for address in addresses} | paths_of_snapshots(table, metadata.snapshots)


def paths_of_snapshots(table: Table, snapshots: Iterable[Snapshot], *, deleted: bool = False) -> set[str]:
    """Paths of the manifest lists, manifests and data files of some snapshots.

    With `deleted` also of data files that a snapshot took out: those that an older one needs.
    """
    found, read = set[str](), set[str]()
    for snapshot in snapshots:
        found.add(path_of(table, snapshot.manifest_list))
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in read:
                continue
            read.add(manifest.manifest_path)
            found.add(path_of(table, manifest.manifest_path))
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=not deleted)
            found.update(path_of(table, entry.data_file.file_path) for entry in entries)
    return found


def list_files(table: Table) -> list[Listed]:
    """Every file below the table's location, referenced or not."""
    from pyarrow.fs import FileSelector

    files, root = storage_of(table)
    return [
        Listed(info.path, info.size, info.mtime.timestamp())
        for info in files.get_file_info(FileSelector(root, recursive=True, allow_not_found=True))
        if info.is_file
    ]


def storage_of(table: Table) -> tuple[FileSystem, str]:
    """The file system of a table, and the path of its folder in it."""
    from pyiceberg.io.pyarrow import PyArrowFileIO

    io = table.io
    assert isinstance(io, PyArrowFileIO), "the lake is read and written through pyarrow"
    scheme, host, path = PyArrowFileIO.parse_location(table.location(), io.properties)
    return io.fs_by_scheme(scheme, host), path


def path_of(table: Table, address: str) -> str:
    """The path of an address in the table's file system, as a listing spells it.

    One folder may be addressed with `file://` and without, one bucket with `s3://` and `s3a://`.
    """
    from pyiceberg.io.pyarrow import PyArrowFileIO

    return PyArrowFileIO.parse_location(address, table.io.properties)[2]


def delete_paths(table: Table, paths: Iterable[str]) -> int:
    """Delete files by path, several at a time; returns how many there were."""
    from concurrent.futures import ThreadPoolExecutor

    files, _ = storage_of(table)

    def delete(path: str) -> bool:
        try:
            files.delete_file(path)
        except FileNotFoundError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(delete, paths))
