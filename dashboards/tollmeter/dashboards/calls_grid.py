"""The table of recent calls: AG Grid, community features alone."""

from __future__ import annotations

from typing import Any, Final

_INT: Final = {"function": "params.value == null ? '—' : d3.format(',')(params.value)"}
_MS: Final = {
    "function": (
        "params.value == null ? '—' : params.value < 1000 ? d3.format('.0f')(params.value) + ' ms'"
        " : d3.format('.2f')(params.value / 1000) + ' s'"
    )
}
_THEME: Final = {
    "function": (
        "themeQuartz.withParams({backgroundColor: 'var(--tm-card)', foregroundColor: 'var(--mantine-color-text)',"
        " borderColor: 'var(--tm-line)', headerBackgroundColor: 'var(--tm-card)', wrapperBorder: false,"
        " headerTextColor: 'var(--mantine-color-dimmed)', rowHoverColor: 'var(--tm-hover)', fontSize: 13,"
        " headerFontSize: 12, headerFontWeight: 500, rowHeight: 36, headerHeight: 36, spacing: 6,"
        " fontFamily: 'inherit', accentColor: '#5b8ff9', browserColorScheme: 'inherit'})"
    )
}
_NUMBER: Final = {
    "type": "rightAligned",
    "cellClass": "ag-right-aligned-cell tm-digits",
    "sortingOrder": ["desc", "asc", None],
}


def calls_grid() -> Any:
    """The grid, empty; the page fills `rowData`."""
    import dash_ag_grid as dag

    return dag.AgGrid(
        id="calls",
        columnDefs=_columns(),
        rowData=[],
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
            "localeText": {"noRowsToShow": "No calls in this selection"},
        },
        csvExportParams={"fileName": "tollmeter-calls.csv"},
        getRowId="params.data.event_id",
        className="tm-grid",
        style={"height": "min(520px, 70vh)"},
        enableEnterpriseModules=False,
    )


def _columns() -> list[dict[str, Any]]:
    return [
        {"field": "timestamp", "headerName": "Time (UTC)", "minWidth": 190, "sort": "desc", "cellClass": "tm-digits"},
        {"field": "model", "headerName": "Model", "minWidth": 150, "tooltipField": "model"},
        {"field": "route", "headerName": "Route", "minWidth": 120, "tooltipField": "route"},
        {"field": "tenant", "headerName": "Tenant", "minWidth": 100},
        {
            "field": "status",
            "headerName": "Status",
            "minWidth": 90,
            "cellClassRules": {"tm-bad": {"function": "!params.data.ok"}},
        },
        _NUMBER | {"field": "input_tokens", "headerName": "Tokens in", "minWidth": 100, "valueFormatter": _INT},
        _NUMBER | {"field": "output_tokens", "headerName": "Tokens out", "minWidth": 100, "valueFormatter": _INT},
        _NUMBER
        | {
            "field": "cost_key",
            "headerName": "Cost (USD)",
            "minWidth": 115,
            "valueFormatter": {"function": "params.data.cost"},
            "tooltipField": "cost_exact",
            "cellClassRules": {"tm-muted": {"function": "!params.data.priced"}},
        },
        _NUMBER | {"field": "latency_ms", "headerName": "Latency", "minWidth": 90, "valueFormatter": _MS},
        _NUMBER | {"field": "ttft_ms", "headerName": "First token", "minWidth": 100, "valueFormatter": _MS},
    ]
