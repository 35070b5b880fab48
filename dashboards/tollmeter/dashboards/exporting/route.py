"""`export/calls.csv` and `.parquet`: the address's filters, the viewer's rows, bounded, as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.exporting.formats import as_csv, as_parquet
from tollmeter.dashboards.prepare import call_search, formats
from tollmeter.dashboards.queries import calls_export
from tollmeter.dashboards.wire import asked, failure

if TYPE_CHECKING:
    from dash import Dash
    from flask import Response

    from tollmeter.dashboards.lake import Lake

MOST_ROWS: Final = 1_000_000
KINDS: Final = {"csv": ("text/csv; charset=utf-8", as_csv), "parquet": ("application/vnd.apache.parquet", as_parquet)}
PATH: Final = "export/calls"
_TOO_MANY, _UNREADABLE, _FAILED = 413, 400, 503


def register(app: Dash, lake: Lake, zone: str) -> None:
    """Add the routes."""
    prefix = str(app.config.routes_pathname_prefix)
    for kind in KINDS:
        app.server.add_url_rule(f"{prefix}{PATH}.{kind}", f"export_{kind}", lambda kind=kind: _export(lake, zone, kind))


def _export(lake: Lake, zone: str, kind: str) -> Response:
    from flask import Response, request

    question = asked(lake, zone, request.query_string.decode("latin-1"), call_search.NARROWING)
    if question.selection.problems:
        return _told(_UNREADABLE, "; ".join(question.selection.problems))
    search = call_search.search(question.selection)
    given = (lake, question.viewer, question.selection, question.window, search)
    try:
        rows = calls_export.counted(*given)
    except Exception as error:  # noqa: BLE001 - whatever fails is told
        reference, message = failure(error)
        return _told(_FAILED, f"{message}\nReference {reference}, as in the log of this server.")
    if rows > MOST_ROWS:
        return _told(_TOO_MANY, (
            f"{formats.count(rows)} calls are more than the {formats.count(MOST_ROWS)} that one export holds: "
            "choose a shorter time or filter further."
        ))  # fmt: skip
    media_type, write = KINDS[kind]
    name = f"tollmeter-calls-{question.window.start:%Y%m%dT%H%M}Z-{question.window.end:%Y%m%dT%H%M}Z.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Tollmeter-Rows": str(rows)}
    stream: Any = write(calls_export.parts(*given))
    return Response(stream, mimetype=media_type, headers=headers)


def _told(status: int, text: str) -> Response:
    from flask import Response

    return Response(f"{text}\n", status, mimetype="text/plain")
