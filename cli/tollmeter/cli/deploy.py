"""`tollmeter deploy`: what a deployment needs, as CloudFormation or Terraform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollmeter.model.settings import Settings

deploy = typer.Typer(
    help="The forwarder and the dashboard as services: task definitions, policies, container files.",
    no_args_is_help=True,
)


@deploy.command()
def render(
    *,
    target: Annotated[str, typer.Argument(help="ecs, lambda, iam, container, dashboard or dashboard-container.")],
    form: Annotated[str, typer.Option("--format", help="cloudformation or terraform.")] = "cloudformation",
    service: Annotated[
        str | None, typer.Option("--service", help="Name of the service.", show_default="TOLLMETER_SERVICE")
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket",
            help="Bucket of the raw objects, below raw/, and of the lake, below lake/.",
            show_default="TOLLMETER_RAW_URL, TOLLMETER_LAKE_URL",
        ),
    ] = None,
    sinks: Annotated[
        str | None, typer.Option("--sinks", help="Sinks, separated by commas.", show_default="TOLLMETER_SINKS")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout if left out.")] = None,
) -> None:
    r"""Render what a deployment needs; the same options and settings always give the same bytes.

    Settings in the environment (TOLLMETER_CLOUDWATCH_NAMESPACE, TOLLMETER_KMS_KEY …) are carried over, into the
    containers and into what the policy names.

    ```
    tollmeter deploy render container > Dockerfile
    tollmeter deploy render ecs --service chat --bucket my-lake --sinks s3,cloudwatch_metrics,xray -o task.json
    tollmeter deploy render iam --format terraform --bucket my-lake --sinks s3
    tollmeter deploy render dashboard-container > Dockerfile
    TOLLMETER_AUTH_TENANT_CLAIM=custom:tenant tollmeter deploy render dashboard --bucket my-lake -o dashboard.json
    ```
    """
    from tollmeter.exporters import deploy as deploying

    if target in deploying.CONTAINERS:
        text = deploying.container_file(target)
    else:
        raw_url = f"s3://{bucket}/raw" if bucket else None
        settings = Settings.load(service=service, raw_url=raw_url, sinks=_names(sinks))
        text = deploying.render(target, form, deploying.Deployment(settings))
    if output:
        output.write_text(text, "utf-8")
    else:
        typer.echo(text, nl=False)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
