"""The one table: AG Grid, community features alone, cells that show text as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_INT: Final = {"function": "params.value == null ? '—' : d3.format(',')(params.value)"}
_SHARE: Final = {"function": "params.value == null ? '—' : d3.format('.2f')(params.value * 100) + ' %'"}
_MS: Final = {
    "function": (
        "params.value == null ? '—' : params.value < 1000 ? d3.format('.0f')(params.value) + ' ms'"
        " : d3.format('.2f')(params.value / 1000) + ' s'"
    )
}
_RATE: Final = {"function": "params.value == null ? '—' : d3.format('.1f')(params.value)"}
_THEME: Final = {
    "function": (
        "themeQuartz.withParams({backgroundColor: 'var(--tm-card)', foregroundColor: 'var(--mantine-color-text)',"
        " borderColor: 'var(--tm-line)', headerBackgroundColor: 'var(--tm-card)', wrapperBorder: false,"
        " headerTextColor: 'var(--tm-dimmed)', rowHoverColor: 'var(--tm-hover)', fontSize: 13,"
        " headerFontSize: 12, headerFontWeight: 500, rowHeight: 36, headerHeight: 36, spacing: 6,"
        " fontFamily: 'inherit', accentColor: '#5b8ff9', browserColorScheme: 'inherit'})"
    )
}
_NUMBER: Final = {
    "type": "rightAligned",
    "cellClass": "ag-right-aligned-cell tm-digits",
    "sortingOrder": ["desc", "asc", None],
}
_ROW, _HEADER, _MOST = 36, 38, 14

# Functions of assets/tollmeter_tables.js.
_SERVED: Final[Any] = {"sortChanged": ["tollmeterSorted(params)"], "rowClicked": ["tollmeterRow(params)"]}
_AS_GIVEN: Final = {"function": "0"}

Column = dict[str, Any]


def grid(
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Column],
    *,
    key: str = "",
    height: int = 0,
    is_page: bool = False,
) -> Any:
    """A table of rows; `key` is the field that tells rows apart, `height` in pixels, 0 as high as its rows need.

    Where it shows a page of a larger table (`is_page`, its columns `served`), a header's click puts the order into the
    address, and a row's click goes to the row's `href`.
    """
    import dash_ag_grid as dag

    fitting = _HEADER + _ROW * min(max(len(rows), 2), _MOST) + 2
    return dag.AgGrid(
        id=name,
        columnDefs=list(columns),
        rowData=list(rows),
        defaultColDef={
            "flex": 1,
            "sortable": True,
            "resizable": True,
            "filter": True,
            "suppressHeaderMenuButton": True,
        },
        dashGridOptions={
            "theme": _THEME,
            "animateRows": False,
            "enableCellTextSelection": True,
            "tooltipShowDelay": 300,
            "localeText": {"noRowsToShow": "Nothing in this selection"},
        },
        getRowId=f"params.data.{key}" if key else None,
        className="tm-grid tm-page-grid" if is_page else "tm-grid",
        style={"height": f"min({height or fitting}px, 75vh)"},
        eventListeners=_SERVED if is_page else None,
        enableEnterpriseModules=False,
    )


def text(field: str, title: str, width: int = 120, **more: Any) -> Column:
    """Text as it is; the whole of it in a tooltip."""
    return {"field": field, "headerName": title, "minWidth": width, "tooltipField": field, **more}


def link(field: str, title: str, href: str, width: int = 140, **more: Any) -> Column:
    """Text that leads to the address in the row's field `href`, within the page."""
    renderer = {"cellRenderer": "TollmeterLink", "cellRendererParams": {"href": href}}
    return text(field, title, width, **renderer, **more)


def served(column: Column, direction: str | None = None, *, sortable: bool = False) -> Column:
    """A column of one page of a larger table: sorted by the server if at all, and kept in the order that was given."""
    return column | {"sortable": sortable, "sort": direction, "comparator": _AS_GIVEN, "filter": False}


def count(field: str, title: str, width: int = 100, **more: Any) -> Column:
    """A whole number."""
    return _NUMBER | {"field": field, "headerName": title, "minWidth": width, "valueFormatter": _INT} | more


def share(field: str, title: str, width: int = 100, **more: Any) -> Column:
    """A share from 0 to 1, as percent."""
    return _NUMBER | {"field": field, "headerName": title, "minWidth": width, "valueFormatter": _SHARE} | more


def duration(field: str, title: str, width: int = 100, **more: Any) -> Column:
    """Milliseconds."""
    return _NUMBER | {"field": field, "headerName": title, "minWidth": width, "valueFormatter": _MS} | more


def money(field: str, title: str, width: int = 115, **more: Any) -> Column:
    """Dollars: sorted by the row's `field`, shown as its `field_text`, exact in a tooltip (`prepare.cells.money`)."""
    shown = {"function": f"params.data && params.data.{field}_text || '—'"}
    column = {"field": field, "headerName": title, "minWidth": width, "valueFormatter": shown}
    return _NUMBER | column | {"tooltipField": f"{field}_exact"} | more


def rate(field: str, title: str, width: int = 100, **more: Any) -> Column:
    """A number with one decimal."""
    return _NUMBER | {"field": field, "headerName": title, "minWidth": width, "valueFormatter": _RATE} | more


def change(field: str, title: str, width: int = 105, **more: Any) -> Column:
    """A change, coloured by whether it is good news (`prepare.cells.change`)."""
    shown = {"function": f"params.data && params.data.{field}_text || '—'"}
    rules = {f"tm-{tone}": f"params.data && params.data.{field}_tone === '{tone}'" for tone in ("good", "bad")}
    column = {"field": field, "headerName": title, "minWidth": width, "valueFormatter": shown, "cellClassRules": rules}
    return _NUMBER | column | more


def trend(field: str, title: str, width: int = 150, **more: Any) -> Column:
    """A small line of the values in a list; None is a gap."""
    column = {"field": field, "headerName": title, "minWidth": width, "sortable": False, "filter": False}
    return column | {"cellRenderer": "TollmeterTrend", "cellDataType": False} | more
