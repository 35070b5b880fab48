"""`tollmeter demo`: the whole path of a datum on one machine, from nothing to a page."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.steps import Steps
from tollmeter.model.errors import UsageError
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.cli.showcase import Showcase

DEFAULT_ROWS = 60_000
DEFAULT_SEED = 7
DEFAULT_PORT = 8050


def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the dashboard at the end.")] = True,
    rows: Annotated[int, typer.Option("--rows", min=100, help="Model calls in the simulated history, about.")] = (
        DEFAULT_ROWS
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same history.")] = DEFAULT_SEED,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port of the dashboard.", show_default="8050, else a free one"),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show it all: two months of simulated history, a live replay, the ETL, alarms, and the dashboard.

    The history is made from a seed, shaped by published traces, with several tenants and models, a provider incident
    and a cost spike. Then some hundred rows of a real trace (from `TOLLMETER_SHARED` or `../shared`; simulated rows
    where neither is found) go through a real instrumented service. All that is made up is tagged as such. Running it
    again adds a live replay and leaves the history as it is. Nothing leaves this machine.

    ```
    tollmeter demo                          # ends at the dashboard; Ctrl-C ends that
    tollmeter demo --no-serve --json        # for scripts
    tollmeter demo --home /tmp/demo         # leaves your own lake alone
    ```
    """  # fmt: skip
    from tollmeter.cli.showcase import prepare

    place = Home.resolve(home)
    shown = prepare(place, rows=rows, seed=seed, steps=Steps(quiet=as_json))
    if as_json:
        print_json(document_of(shown))
    else:
        for line in lines_of(shown):
            typer.echo(line)
    if serve:
        _serve(place, port, as_json=as_json)
    if shown.replayed.outcome.errors:
        raise typer.Exit(1)


def document_of(shown: Showcase) -> dict[str, Any]:
    """The summary for machines."""
    fired = [{"alarm": one.alarm, "firings": [asdict(firing) for firing in one.firings]} for one in shown.alarms]
    return {
        "home": str(shown.home.path),
        "lake": str(shown.home.lake),
        "calls": shown.totals["calls"],
        "requests": shown.totals["requests"],
        "input_tokens": shown.totals["input_tokens"],
        "output_tokens": shown.totals["output_tokens"],
        "cost_usd": shown.totals["spend_usd"],
        "unpriced_calls": shown.totals["unpriced_calls"],
        "replayed_rows": shown.replayed.outcome.rows,
        "replay_source": shown.source,
        "replay_errors": dict(shown.replayed.outcome.errors),
        "etl": asdict(shown.etl),
        "alarms": fired,
        "seconds": round(shown.seconds, 1),
    }


def lines_of(shown: Showcase) -> list[str]:
    """The summary for people."""
    total = shown.totals
    return [
        "",
        f"rows    {total['calls']:,} model calls of {total['requests']:,} requests",
        f"tokens  {total['input_tokens']:,} in, {total['output_tokens']:,} out",
        f"cost    ${total['spend_usd'] or 0:,.2f}; {total['unpriced_calls']:,} calls unpriced, failures included",
        *_alarm_lines(shown),
        f"lake    {shown.home.lake}",
        f"time    {shown.seconds:.1f} s",
        f"All history is simulated; of the replay ({shown.source}) {shown.replayed.simulated.replace(',', ', ')}.",
    ]


def _alarm_lines(shown: Showcase) -> list[str]:
    firings = [(one.alarm, firing) for one in shown.alarms for firing in one.firings]
    if not firings:
        return ["alarms  none fired"]
    return [
        f"alarm   {name} fired {firing.start:%Y-%m-%d %H:%M} UTC for {firing.duration_s / 60:.0f} min"
        f" (peak {firing.peak:.0f} %)"
        for name, firing in firings
    ]


def _serve(home: Home, port: int | None, *, as_json: bool) -> None:
    from tollmeter.dashboards import serve

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            typer.echo(f"\nDashboard: {url}   Ctrl-C ends it")

    if port is not None:
        serve(home, port=port, on_ready=ready)
        return
    try:
        serve(home, port=DEFAULT_PORT, on_ready=ready)
    except UsageError:
        serve(home, port=0, on_ready=ready)
