"""`tollmeter dashboard`: the pages over the lake."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, console
from tollmeter.cli.query import EngineOption
from tollmeter.dashboards.server import DEFAULT_HOST, DEFAULT_PORT
from tollmeter.model.errors import UsageError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings


def dashboard(
    *,
    home: HomeOption = None,
    host: Annotated[
        str, typer.Option("--host", help="Interface to listen on; one that others reach needs a way to sign in.")
    ] = DEFAULT_HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = DEFAULT_PORT,
    engine: EngineOption = None,
    production: Annotated[
        bool, typer.Option("--production", help="Serve for many: gunicorn, logs as JSON lines, a graceful end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show Dash's developer tools on the page.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show spend, traffic, errors and latency of the lake as a web page.

    Prints the URL and serves until Ctrl-C or SIGTERM. It reads the lake and writes nothing, and the browser talks to
    this server only. On this machine nobody signs in; another `--host` is refused until settings say whose tokens let
    viewers in, which tenants each sees, and who sees all (`TOLLMETER_AUTH_*`, docs/dashboard-deploy.md).

    ```
    tollmeter dashboard                       # http://127.0.0.1:8050/
    tollmeter dashboard --port 0 --json       # a free port, the URL as JSON
    tollmeter dashboard --engine redshift     # what `tollmeter sql deploy` made
    ssh -L 8050:127.0.0.1:8050 host           # how to see one that runs elsewhere
    TOLLMETER_AUTH_ISSUER=https://issuer.example TOLLMETER_AUTH_AUDIENCE=client-id \
      tollmeter dashboard --production --host 0.0.0.0
    ```

    The address carries the filters, so a link shows what you see: `?range=7d&model=gpt-4o&model=claude-sonnet-4-5`.
    `GET /healthz` answers 200 while the lake does, else 503 and why; `GET /livez` while the process does.
    """
    from tollmeter.dashboards import serve, serve_production

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url}), flush=True)
        else:
            console.print(f"Dashboard of [bold]{folder.path}[/bold]: [link={url}]{url}[/link]   Ctrl-C ends it")

    if production and debug:
        raise UsageError("--debug shows source code to whoever looks: it does not go with --production")
    settings = Settings.load(engine=engine)
    folder = Home.resolve(home, settings)
    if production:
        serve_production(folder, settings, host, port, on_ready=ready)
    else:
        serve(folder, host, port, settings=settings, debug=debug, on_ready=ready)
