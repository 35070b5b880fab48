"""The Dash application: assets from this machine, no telemetry, no third party, and a health endpoint that means it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from dash import Dash
    from flask import Flask, Response

    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings

HEALTH: Final = "health"
YEAR_SECONDS: Final = 31_536_000
# Whatever a component may try, the browser talks to this server alone.
_CSP: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
# The colour scheme is set before the first paint, else a dark page flashes white.
_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="assets/favicon.svg">
{%css%}
<script>
(function () {
  var chosen = localStorage.getItem("mantine-color-scheme-value") || "auto";
  var dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
</script>
</head>
<body>
{%app_entry%}
<footer>
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>"""


def create_app(home: Home, settings: Settings | None = None, *, debug: bool = False) -> Dash:
    """The dashboard over the lake of a home, as a Dash application (its `server` is a Flask WSGI app).

    Who may see it is as the settings say, by default those of the environment. `debug` shows
    Dash's developer tools on the page: callbacks, their timings and their errors.

    Raises:
        MissingExtraError: the extra `dashboard` is not installed.
        UsageError: the settings that say who may see it contradict each other.
    """
    try:
        from dash import Dash
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "dashboard") from error
    from tollmeter.dashboards import address, shell, status
    from tollmeter.dashboards.access import guard
    from tollmeter.dashboards.access.sign_in import sign_in_of
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.pages import PAGES
    from tollmeter.dashboards.wire import Wire
    from tollmeter.model.settings import Settings

    chosen = settings or Settings.load()
    zone = chosen.timezone
    app = Dash(
        __name__,
        title=shell.TITLE,
        update_title="",
        index_string=_INDEX,
        serve_locally=True,
        enable_mcp=False,
        health_endpoint=HEALTH,
        add_log_handler=False,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = shell.layout(zone)
    lake = Lake(home, chosen)
    address.register(app)
    status.register(app, lake, zone)
    for page in PAGES:
        page.register(Wire(app, lake, page, zone))
    _harden(app.server)
    guard(app.server, sign_in_of(chosen), open_paths=frozenset({f"/{HEALTH}"}))
    if debug:
        app.enable_dev_tools(debug=True, dev_tools_hot_reload=False, dev_tools_disable_version_check=True)
    return app


def _harden(server: Flask) -> None:
    from flask_compress import Compress

    server.config["COMPRESS_MIMETYPES"] = [
        "text/html", "text/css", "application/json", "application/javascript", "text/javascript", "image/svg+xml",
    ]  # fmt: skip
    Compress(server)
    server.after_request(_headers)


def _headers(response: Response) -> Response:
    from flask import request

    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if _is_versioned(request.path):
        response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
    return response


def _is_versioned(path: str) -> bool:
    """Bundles carry version and build time in their names, so that a browser may keep them for ever."""
    return path.startswith("/_dash-component-suites/")
