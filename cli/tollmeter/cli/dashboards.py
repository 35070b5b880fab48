"""`tollmeter dashboards`: the same numbers as boards of CloudWatch and Datadog."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tollmeter.cli.options import JsonOption, print_json
from tollmeter.model.errors import UsageError
from tollmeter.model.settings import Settings

dashboards = typer.Typer(help="Boards for CloudWatch and Datadog, of the metric registry.", no_args_is_help=True)


@dashboards.command(name="list")
def list_boards(*, as_json: JsonOption = False) -> None:
    """List the boards and what each shows.

    ```
    tollmeter dashboards list
    ```
    """
    from tollmeter.dashboards.platforms import BOARDS

    if as_json:
        print_json([{"name": each.name, "title": each.title, "about": each.about} for each in BOARDS.values()])
        return
    for each in BOARDS.values():
        print(f"{each.name}\t{each.about}")


@dashboards.command()
def render(
    *,
    platform: Annotated[str, typer.Argument(help="cloudwatch or datadog.")],
    board: Annotated[str, typer.Option("--board", help="One board; all if left out.")] = "",
    form: Annotated[
        str, typer.Option("--format", help="json, terraform, or for cloudwatch also cloudformation.")
    ] = "json",
    service: Annotated[
        str | None,
        typer.Option("--service", help="Service to watch; else chosen on the board.", show_default="TOLLMETER_SERVICE"),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            help="Environment to watch; else chosen on the board.",
            show_default="TOLLMETER_ENVIRONMENT",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", help="CloudWatch's namespace.", show_default="TOLLMETER_CLOUDWATCH_NAMESPACE"),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Region of CloudWatch's metrics.", show_default="AWS_REGION")
    ] = None,
    deployed: Annotated[
        list[str] | None,
        typer.Option("--deployed", help="Deployment to mark in CloudWatch, TIME=LABEL; may be given several times."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout if left out.")] = None,
) -> None:
    r"""Render boards; the same options and settings always give the same bytes.

    One board as JSON is the body that the platform takes; several are an object of bodies by name. With
    TOLLMETER_METRIC_PRESET the boards show the preset's names too. docs/platform-dashboards.md tells how to install.

    ```
    tollmeter dashboards render cloudwatch --board cost --service chat --region eu-central-1 -o cost.json
    aws cloudwatch put-dashboard --dashboard-name tollmeter-cost-chat --dashboard-body file://cost.json
    tollmeter dashboards render cloudwatch --format cloudformation -o boards.json
    tollmeter dashboards render datadog --format terraform -o boards.tf
    tollmeter dashboards render cloudwatch --board latency --deployed 2026-11-25T04:00:00Z=v1.4.0
    ```
    """
    from tollmeter.cli.dashboard_forms import rendered
    from tollmeter.dashboards.platforms import BOARDS, Target

    settings = Settings.load(
        service=service, environment=environment, cloudwatch_namespace=namespace, region=region or None
    )
    target = Target.of(settings, deployed=tuple(_deployment(text) for text in deployed or ()))
    text = rendered(platform, form, [board] if board else list(BOARDS), target)
    if output:
        output.write_text(text, "utf-8")
    else:
        typer.echo(text, nl=False)


def _deployment(text: str) -> tuple[datetime, str]:
    when, _, label = text.partition("=")
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        raise UsageError(f"--deployed {text}: not TIME=LABEL, such as 2026-11-25T04:00:00Z=v1.4.0") from None
    return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)), label
