"""Which data files may hold an `event_id`, told by the bounds that Iceberg keeps of each file.

Ids of our own events are UUIDv7, which begin with the time they were made at, so a file of one part spans the time of
that part and ids of another time lie outside, whatever `event_date` their rows carry. Imports' ids are spread evenly:
a file that holds some spans nearly everything and is never ruled out.
"""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from tollmeter.etl.lake import local_path

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

_MAX_REMEMBERED: Final = 4096


class IdRange(NamedTuple):
    """A data file, and the bounds of its ids, which may be cut short."""

    path: str
    lowest: bytes
    highest: bytes


_remembered: dict[str, list[IdRange]] = {}
"""By manifest, which never changes once written; the oldest are forgotten."""


def ranges_of(table: Table) -> list[IdRange]:
    """The bounds of every data file of the current snapshot."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return []
    return [found for manifest in snapshot.manifests(table.io) for found in _ranges(table, manifest)]


def may_hold(ranges: Iterable[IdRange], ids: pa.StringArray) -> list[str]:
    """The files whose bounds leave room for one of these ids, as `tollmeter.etl.lake.connect` reads them."""
    import pyarrow.compute as pc

    bounds = pc.min_max(ids)
    if not bounds["min"].is_valid:
        return []
    least, most = str(bounds["min"]).encode(), str(bounds["max"]).encode()
    near = [found for found in ranges if found.lowest <= most and least <= found.highest]
    wanted = _Sorted(ids) if near else ()
    return [
        local_path(found.path)
        for found in near
        if bisect_left(wanted, found.lowest) < bisect_right(wanted, found.highest)
    ]


class _Sorted:
    """Texts in order, of which a search looks at a few: a list of them all would take longer than the search."""

    def __init__(self, texts: pa.StringArray) -> None:
        self._texts = texts.sort()

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: int) -> bytes:
        return str(self._texts[place].as_py()).encode()


def _ranges(table: Table, manifest: ManifestFile) -> list[IdRange]:
    known = _remembered.get(manifest.manifest_path)
    if known is None:
        while len(_remembered) >= _MAX_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        known = _remembered[manifest.manifest_path] = _read(table, manifest)
    return known


def _read(table: Table, manifest: ManifestFile) -> list[IdRange]:
    from pyiceberg.manifest import DataFileContent

    column = table.schema().find_field("event_id").field_id
    files = (entry.data_file for entry in manifest.fetch_manifest_entry(table.io))
    return [
        IdRange(
            file.file_path,
            (file.lower_bounds or {}).get(column, b""),
            (file.upper_bounds or {}).get(column, b"\xff"),
        )
        for file in files
        if file.content == DataFileContent.DATA
    ]
