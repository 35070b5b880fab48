"""Boards of a platform in the form that installs them: JSON, CloudFormation or Terraform; always the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from tollmeter.dashboards.platforms import PLATFORMS, Target, render
from tollmeter.exporters.deploy import stack as stacks
from tollmeter.exporters.deploy.hcl import Block, Encoded, document
from tollmeter.model.errors import UnknownNameError, UsageError

_REGION: Final = "${AWS::Region}"
_ABOUT: Final = "Dashboards of Tollmeter, rendered from its metric registry; change that, not this file."


def rendered(platform: str, form: str, boards: list[str], target: Target) -> str:
    """The boards in one text.

    Raises:
        UnknownNameError: there is no such platform or board, or no such format for the platform.
        UsageError: JSON for CloudWatch has no region, or deployments are to be marked where they are events.
    """
    if platform not in PLATFORMS:
        raise UnknownNameError("dashboard platform", platform, PLATFORMS)
    if form not in FORMS[platform]:
        raise UnknownNameError(f"format of {platform} dashboards", form, FORMS[platform])
    if platform == "datadog" and target.deployed:
        raise UsageError("--deployed is for cloudwatch; datadog's boards show events with the tag deployment")
    return FORMS[platform][form](platform, boards, target)


def _json(platform: str, boards: list[str], target: Target) -> str:
    if platform == "cloudwatch" and not target.region:
        raise UsageError(
            "a widget of CloudWatch names its region: give --region, or set TOLLMETER_REGION or AWS_REGION"
        )
    found = {target.named(board): render(platform, board, target) for board in boards}
    [*bodies] = found.values()
    return json.dumps(bodies[0] if len(bodies) == 1 else found, indent=2, ensure_ascii=True) + "\n"


def _stack(boards: Iterable[str], target: Target) -> stacks.Stack:
    return stacks.Stack(_ABOUT, (), tuple(_resource(board, target) for board in boards))


def _resource(board: str, target: Target) -> stacks.Resource:
    marked = render("cloudwatch", board, replace(target, region="\0"))
    # What CloudWatch looks up in a label looks like what a template looks up.
    body = _text(marked, lambda text: _REGION if text == "\0" else text.replace("${", "${!"))
    name = target.named(board)
    return stacks.Resource(
        board.capitalize(),
        "AWS::CloudWatch::Dashboard",
        {"DashboardName": name, "DashboardBody": json.dumps(body)},
        "aws_cloudwatch_dashboard",
        {"dashboard_name": name, "dashboard_body": Encoded(body)},
    )


def _cloudformation(_: str, boards: list[str], target: Target) -> str:
    return stacks.cloudformation(_stack(boards, target))


def _terraform(_: str, boards: list[str], target: Target) -> str:
    return stacks.terraform(_stack(boards, target))


def _datadog_terraform(platform: str, boards: list[str], target: Target) -> str:
    provider = Block("required_providers", (), {"datadog": {"source": "DataDog/datadog", "version": ">= 3.40"}})
    resources = [
        Block("resource", ("datadog_dashboard_json", board), {"dashboard": Encoded(_text(body, _escaped))})
        for board in boards
        for body in [render(platform, board, target)]
    ]
    return document(_ABOUT, [Block("terraform", (), {"providers": provider}), *resources])


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


def _text(value: Any, change: Callable[[str], str]) -> Any:
    """A document with each text changed."""
    if isinstance(value, dict):
        return {key: _text(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [_text(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


FORMS: Final[dict[str, dict[str, Callable[[str, list[str], Target], str]]]] = {
    "cloudwatch": {"json": _json, "cloudformation": _cloudformation, "terraform": _terraform},
    "datadog": {"json": _json, "terraform": _datadog_terraform},
}
"""By platform, the forms it can be had in."""
