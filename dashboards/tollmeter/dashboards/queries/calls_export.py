"""The calls of a selection, oldest first, a part at a time: what an export is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.queries.calls import Search
from tollmeter.dashboards.queries.plan import conditions

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Selection
    from tollmeter.dashboards.window import Window

PART_ROWS: Final = 20_000
_ANY: Final = Search()


def counted(lake: Lake, viewer: Viewer, selection: Selection, span: Window, search: Search = _ANY) -> int:
    """How many calls there are."""
    given = conditions(selection.filters) | search.parameters()
    return int(lake.rows(viewer, "calls_counted", since=span.start, until=span.end, **given)[0]["calls"])


def parts(
    lake: Lake,
    viewer: Viewer,
    selection: Selection,
    span: Window,
    search: Search = _ANY,
    *,
    part_rows: int = PART_ROWS,
) -> Iterator[pa.Table]:
    """Tables of at most `part_rows` calls; at least one, which may be empty. Times are UTC and say so.

    Raises:
        QueryError: the lake could not answer.
    """
    given = conditions(selection.filters) | search.parameters() | {"until": span.end, "limit": part_rows}
    since = span.start
    after: dict[str, Any] = {}
    while True:
        part = lake.query(viewer, "calls_export", since=since, **given, **after)
        yield _in_utc(part)
        if part.num_rows < part_rows:
            return
        since = part.column("created_at")[-1].as_py()
        after = {"after_time": since, "after_id": part.column("event_id")[-1].as_py()}


def _in_utc(part: pa.Table) -> pa.Table:
    import pyarrow as pa

    index = part.schema.get_field_index("created_at")
    moments = part.column(index).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    return part.set_column(index, "created_at", moments)
