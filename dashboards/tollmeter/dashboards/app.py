"""The Dash application: assets from this machine, no telemetry, no third party, and a health endpoint that means it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings

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
        import dash_ag_grid  # noqa: F401 - its bundle is served only if it is known before the first request
        from dash import Dash
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "dashboard") from error
    from tollmeter.dashboards import address, saving, shell, status
    from tollmeter.dashboards.exporting import route
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.pages import PAGES
    from tollmeter.dashboards.protection import protect
    from tollmeter.dashboards.views import ViewStore
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
        url_base_pathname=chosen.dashboard_prefix,
        add_log_handler=False,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    # A layout of its own for every tab: queries of one are not another's to cancel.
    app.layout = lambda: shell.layout(zone)
    lake, store = Lake(home, chosen), ViewStore(home)
    address.register(app, store)
    saving.register(app, store)
    route.register(app, lake, zone)
    status.register(app, lake, zone)
    for page in PAGES:
        page.register(Wire(app, lake, page, zone))
    protect(app, lake, chosen)
    if debug:
        app.enable_dev_tools(debug=True, dev_tools_hot_reload=False, dev_tools_disable_version_check=True)
    return app
