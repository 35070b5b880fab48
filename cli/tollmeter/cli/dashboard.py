"""`tollmeter dashboard`: the page over the lake."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, console
from tollmeter.dashboards.server import DEFAULT_HOST, DEFAULT_PORT
from tollmeter.model.home import Home


def dashboard(
    *,
    home: HomeOption = None,
    host: Annotated[str, typer.Option("--host", help="Interface to listen on. The page has no login.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = DEFAULT_PORT,
    debug: Annotated[bool, typer.Option("--debug", help="Show Dash's developer tools on the page.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show spend, traffic, errors and latency of the lake as a web page.

    Prints the URL and serves until Ctrl-C. It listens on this machine alone unless `--host` says otherwise,
    reads the lake and writes nothing, and the browser talks to this server only.

    ```
    tollmeter dashboard                       # http://127.0.0.1:8050/
    tollmeter dashboard --port 0 --json       # a free port, the URL as JSON
    ssh -L 8050:127.0.0.1:8050 host           # how to see one that runs elsewhere
    ```

    The address carries the filters, so a link shows what you see: `?range=7d&model=gpt-4o&model=claude-sonnet-4-5`.
    """
    from tollmeter.dashboards import serve

    def ready(url: str) -> None:
        if as_json:
            typer.echo(json.dumps({"url": url}))
        else:
            console.print(f"Dashboard of [bold]{folder.path}[/bold]: [link={url}]{url}[/link]   Ctrl-C ends it")

    folder = Home.resolve(home)
    serve(folder, host, port, debug=debug, on_ready=ready)
