"""`tollmeter alarms`: what is watched, as CloudFormation, and what it would have done."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.alarms import Alarm, Backtest, Explanation, Firing
    from tollmeter.alarms.explaining import TreatedPoint

_TARGETS: Final = ("cloudformation",)

alarms = typer.Typer(help="Alarms as code, tried on history.", no_args_is_help=True)

ServiceOption = Annotated[str, typer.Option("--service", help="Only calls of this service.")]
EnvironmentOption = Annotated[str, typer.Option("--environment", help="Only calls of this environment.")]
ArrivalOption = Annotated[
    str,
    typer.Option("--arrival", help="When a minute is known: event, once it is over; lake, once it was in the lake."),
]


@alarms.command(name="list")
def list_alarms(*, as_json: JsonOption = False) -> None:
    """List all alarms: what each watches, when it fires, and how loudly.

    ```
    tollmeter alarms list
    ```
    """
    from tollmeter.alarms import alarm_names, load_alarm

    found = [load_alarm(name) for name in alarm_names()]
    if as_json:
        print_json([asdict(alarm) for alarm in found])
        return
    for alarm in found:
        typer.echo(f"{alarm.name} ({alarm.severity}): {alarm.description}")
        typer.echo(f"  {_rule(alarm)}")
        typer.echo(f"  runbook: {alarm.runbook}")


@alarms.command()
def render(
    *,
    target: Annotated[str, typer.Argument(help="What to render for: cloudformation.")],
    namespace: Annotated[
        str, typer.Option("--namespace", help="CloudWatch namespace the metrics are published in.")
    ] = "AIplatform",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout if left out.")] = None,
) -> None:
    r"""Render all alarms as a template; the same definitions always give the same bytes.

    The template's parameters are the SNS topic to notify, the namespace, and the service and environment to watch.

    ```
    tollmeter alarms render cloudformation -o alarms.json
    aws cloudformation deploy --template-file alarms.json --stack-name llm-alarms \
      --parameter-overrides AlarmTopicArn=arn:aws:sns:… Service=chat Environment=production
    ```
    """
    from tollmeter.alarms import alarm_names, load_alarm, render_cloudformation

    if target not in _TARGETS:
        raise UnknownNameError("alarm target", target, _TARGETS)
    text = render_cloudformation([load_alarm(name) for name in alarm_names()], namespace)
    if output:
        output.write_text(text, "utf-8")
    else:
        typer.echo(text, nl=False)


@alarms.command()
def backtest(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(help="Alarms to try; all if left out.", metavar="[NAME]…")
    ] = None,
    since: Annotated[str, typer.Option("--from", help="Start, UTC: a time, or an offset such as -30d.")] = "",
    until: Annotated[str, typer.Option("--to", help="End, UTC: a time, now, or an offset such as -1d.")] = "",
    service: ServiceOption = "",
    environment: EnvironmentOption = "",
    arrival: ArrivalOption = "event",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell when an alarm would have fired on the lake's history, before it pages anyone.

    Each minute of the span is judged as CloudWatch would judge it. Without `--from` and `--to` the whole history is
    taken. A firing begins when the alarm goes to ALARM and ends when it leaves it; peak is the worst period in between.
    What the forwarder sent in time was known when its minute was over; `--arrival lake` judges what the lake held.

    ```
    tollmeter alarms backtest
    tollmeter alarms backtest llm_error_rate --from -30d --service chat
    tollmeter alarms backtest --json | jq '.[].firings_per_week'
    ```
    """
    from tollmeter.alarms import backtest as run_backtest

    found = run_backtest(
        Home.resolve(home),
        names=names,
        since=since or None,
        until=until or None,
        service=service,
        environment=environment,
        arrival=arrival,
    )
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        _print_backtest(one)


@alarms.command()
def explain(
    *,
    name: Annotated[str, typer.Argument(help="Alarm to explain.")],
    at: Annotated[str, typer.Option("--at", help="When, UTC: a time, now, or an offset such as -1h.")],
    service: ServiceOption = "",
    environment: EnvironmentOption = "",
    arrival: ArrivalOption = "event",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why an alarm was in a state: the data points known then, what each counted for, and the decision.

    The last evaluation up to the time is shown, with its whole evaluation range. Data points older than the alarm's
    evaluation periods count only where newer ones are missing, as in CloudWatch.

    ```
    tollmeter alarms explain llm_error_rate --at 2026-11-01T12:13
    tollmeter alarms explain llm_error_rate --at now --service chat
    tollmeter alarms explain llm_error_rate --at -1h --json | jq '.points[].treated'
    ```
    """
    from tollmeter.alarms import explain as run_explain
    from tollmeter.alarms import load_alarm

    place = Home.resolve(home)
    found = run_explain(place, name, at, service=service, environment=environment, arrival=arrival)
    if as_json:
        print_json(asdict(found))
        return
    _print_explanation(found, load_alarm(name))


def _rule(alarm: Alarm) -> str:
    signal = f"100 * {alarm.signal.share} / {alarm.signal.of}"
    wanted = f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods} periods of {alarm.period_s} s"
    compared = alarm.comparison.replace("_", " ")
    return f"{signal} {compared} {alarm.threshold:g} in {wanted}; periods under {alarm.min_traffic} count as 0"


def _print_backtest(one: Backtest) -> None:
    if one.start is None or one.end is None:
        typer.echo(f"{one.alarm}: the lake holds no calls to try it on")
        return
    typer.echo(f"{one.alarm}: {one.start:%Y-%m-%d %H:%M} to {one.end:%Y-%m-%d %H:%M} UTC")
    typer.echo(
        f"  {len(one.firings)} firings, {one.pages} pages, {one.firings_per_week:.2f} a week; "
        f"{one.evaluations_with_data:,} of {one.evaluations:,} evaluations had data"
    )
    for firing in one.firings:
        typer.echo(f"  {_line(firing)}")


def _line(firing: Firing) -> str:
    end = f"{firing.end:%Y-%m-%d %H:%M}" if firing.end else "still firing"
    return f"{firing.start:%Y-%m-%d %H:%M} to {end}, {firing.duration_s / 60:.0f} min, peak {firing.peak:.1f} %"


def _print_explanation(one: Explanation, alarm: Alarm) -> None:
    typer.echo(f"{one.alarm} at {one.at:%Y-%m-%d %H:%M} UTC: {one.state}, before {one.before}")
    typer.echo(f"  {_rule(alarm)}")
    for point in one.points:
        typer.echo(f"  {_point_line(point)}")
    typer.echo(f"  {one.reason}")


def _point_line(one: TreatedPoint) -> str:
    point = one.point
    value = "-" if point.value is None else f"{point.value:.1f} %"
    return f"{point.start:%m-%d %H:%M} to {point.end:%H:%M}  {value:>7} of {point.of:>9,}  {one.treated}"
