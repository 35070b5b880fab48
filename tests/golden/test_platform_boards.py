"""Boards for CloudWatch and Datadog: held byte by byte, and what each platform's own rules allow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from datadog_api_client import Configuration
from datadog_api_client.model_utils import ModelNormal, ModelSimple, OpenApiModel, validate_and_convert_types
from datadog_api_client.v1.model.dashboard import Dashboard

from tollmeter.cli.dashboard_forms import FORMS, rendered
from tollmeter.dashboards.platforms import BOARDS, Target, render
from tollmeter.model.setting_row import PREFIX
from tollmeter.model.settings import Settings

HERE = Path(__file__).parent
GOLDEN = HERE / "boards"
SCHEMA = json.loads((HERE / "schemas" / "cloudwatch_dashboard.json").read_text())
OPEN = Target.of(Settings.load({}, region="eu-central-1", metric_preset="ai_platform"))
FIXED = replace(
    OPEN, service="chat", environment="production", deployed=((datetime(2026, 11, 25, 4, tzinfo=UTC), "v1.4.0"),)
)
UNMARKED = replace(FIXED, deployed=())
HELD = {
    "cloudwatch.json": ("cloudwatch", "json", list(BOARDS), OPEN),
    "cloudwatch_latency.json": ("cloudwatch", "json", ["latency"], FIXED),
    "cloudwatch_cost.cloudformation.json": ("cloudwatch", "cloudformation", ["cost"], FIXED),
    "cloudwatch_latency.tf": ("cloudwatch", "terraform", ["latency"], FIXED),
    "datadog.json": ("datadog", "json", list(BOARDS), OPEN),
    "datadog_latency.tf": ("datadog", "terraform", ["latency"], UNMARKED),
}
TARGETS = pytest.mark.parametrize("target", [OPEN, UNMARKED, FIXED], ids=["open", "fixed", "marked"])
EACH_BOARD = pytest.mark.parametrize("board", list(BOARDS))


@pytest.mark.parametrize("name", list(HELD))
def test_it_is_as_held(name: str) -> None:
    text, path = rendered(*HELD[name]), GOLDEN / name
    if os.environ.get(f"{PREFIX}UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, "run: make golden, and review the diff"


@TARGETS
@EACH_BOARD
def test_a_body_is_as_cloudwatch_documents_it(board: str, target: Target) -> None:
    body = render("cloudwatch", board, target)
    jsonschema.Draft202012Validator(SCHEMA).validate(body)
    assert sum(len(widget["properties"].get("metrics", ())) for widget in body["widgets"]) <= 2500
    for widget in body["widgets"]:
        ids = [row["id"] for [row] in widget["properties"].get("metrics", ())]
        assert len(ids) == len(set(ids))


def test_the_schema_would_find_a_slip() -> None:
    body = render("cloudwatch", "cost", OPEN)
    for widget in body["widgets"]:
        widget["properties"].pop("region", None)
    with pytest.raises(jsonschema.ValidationError, match="'region' is a required property"):
        jsonschema.Draft202012Validator(SCHEMA).validate(body)


def groups(platform: str, board: str) -> Iterator[tuple[int, list[dict[str, int]]]]:
    """Columns of the grid and places, of each grid that a board has."""
    document = render(platform, board, OPEN)
    if platform == "cloudwatch":
        yield 24, [{side: widget[side] for side in ("x", "y", "width", "height")} for widget in document["widgets"]]
        return
    yield 12, [widget["layout"] for widget in document["widgets"]]
    for widget in document["widgets"]:
        if inner := widget["definition"].get("widgets"):
            yield 12, [each["layout"] for each in inner]
            # A group's title is a row of its height.
            assert max(each["layout"]["y"] + each["layout"]["height"] for each in inner) < widget["layout"]["height"]


@EACH_BOARD
@pytest.mark.parametrize("platform", list(FORMS))
def test_no_widget_lies_over_another_or_beyond_the_grid(platform: str, board: str) -> None:
    for columns, places in groups(platform, board):
        for place in places:
            assert place["x"] + place["width"] <= columns
        for one, two in combinations(places, 2):
            beside = one["x"] + one["width"] <= two["x"] or two["x"] + two["width"] <= one["x"]
            apart = one["y"] + one["height"] <= two["y"] or two["y"] + two["height"] <= one["y"]
            assert beside or apart


def parts(value: Any) -> Iterator[OpenApiModel]:
    """Each model of a document of Datadog's."""
    if isinstance(value, list):
        for each in value:
            yield from parts(each)
    elif isinstance(value, OpenApiModel):
        yield value
        if isinstance(value, ModelNormal):
            for each in value._data_store.values():
                yield from parts(each)


def unknown(document: dict[str, Any]) -> list[str]:
    """What Datadog's models do not know of a dashboard."""
    configuration = Configuration()  # type: ignore[no-untyped-call] # the client types few of its functions
    converted = validate_and_convert_types(  # type: ignore[no-untyped-call] # as above
        document, (Dashboard,), ["dashboard"], True, True, configuration
    )
    found: list[str] = []
    for part in parts(converted):
        if part._unparsed:
            found.append(type(part).__name__)
        if not isinstance(part, ModelSimple):
            found += [name for name in part._data_store if name not in type(part).attribute_map]
    return found


@EACH_BOARD
def test_datadogs_models_know_every_part(board: str) -> None:
    assert unknown(render("datadog", board, OPEN)) == []


def test_datadogs_models_would_find_a_slip() -> None:
    document = render("datadog", "cost", OPEN)
    document["widgets"][1]["definition"]["widgets"][1]["definition"]["requests"][0]["queries"][0]["aggregator"] = "all"
    assert unknown(document)
    assert unknown(render("datadog", "cost", OPEN) | {"reflow": "fixed"}) == ["reflow"]


@pytest.mark.slow
def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "boards.json"
    path.write_text(rendered("cloudwatch", "cloudformation", list(BOARDS), FIXED))
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "us-east-1", "--", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed; the golden files are held")
@pytest.mark.parametrize("platform", list(FORMS))
def test_terraform_would_format_nothing(platform: str, tmp_path: Path) -> None:
    text = rendered(platform, "terraform", list(BOARDS), OPEN)
    command = ["terraform", "fmt", "-check", "-diff", "-"]
    found = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "")


def test_a_template_gives_the_body_that_json_is() -> None:
    template = json.loads(rendered("cloudwatch", "cloudformation", ["latency"], FIXED))
    [resource] = template["Resources"].values()
    text: str = resource["Properties"]["DashboardBody"]["Fn::Sub"]
    filled = text.replace("${AWS::Region}", FIXED.region).replace("${!", "${")
    assert json.loads(filled) == json.loads(rendered("cloudwatch", "json", ["latency"], FIXED))


def test_the_page_tells_how_many_widgets_there_are() -> None:
    page = (HERE.parents[1] / "docs" / "platform-dashboards.md").read_text()
    kinds = [[each["type"] for each in render("cloudwatch", board, Target())["widgets"]] for board in BOARDS]
    assert f"| widgets in CloudWatch, texts included | {' | '.join(str(len(each)) for each in kinds)} |" in page
    assert f"| charts and tables | {' | '.join(str(len(each) - each.count('text')) for each in kinds)} |" in page
