"""The rendered template: held byte by byte, and clean for cfn-lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tollmeter.alarms import alarm_names, load_alarm, render_cloudformation
from tollmeter.alarms.evaluate import datapoint
from tollmeter.alarms.render_cloudformation import expression
from tollmeter.model.setting_row import PREFIX

GOLDEN = Path(__file__).parent / "alarms" / "cloudformation.json"
ALARMS = [load_alarm(name) for name in alarm_names()]


def cfn_lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "us-east-1", "--", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_template_is_as_held() -> None:
    text = render_cloudformation(ALARMS)
    if os.environ.get(f"{PREFIX}UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text, "run: make golden, and review the diff"


def test_the_order_of_definitions_does_not_matter() -> None:
    two = [ALARMS[0], replace(ALARMS[0], name="another")]
    assert render_cloudformation(two) == render_cloudformation(two[::-1])


@pytest.mark.slow
def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alarms.json"
    path.write_text(render_cloudformation(ALARMS, "Other/Namespace"))
    found = cfn_lint(path)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.slow
def test_cfn_lint_would_find_a_slip(tmp_path: Path) -> None:
    path = tmp_path / "alarms.json"
    path.write_text(render_cloudformation(ALARMS).replace("notBreaching", "not_breaching"))
    assert "not_breaching" in cfn_lint(path).stdout


def test_metrics_stay_within_cloudwatchs_limits() -> None:
    document: dict[str, Any] = json.loads(render_cloudformation(ALARMS))
    for resource in document["Resources"].values():
        properties = resource["Properties"]
        returned = [metric for metric in properties["Metrics"] if metric["ReturnData"]]
        assert len(returned) == 1
        assert len(properties["Metrics"]) <= 10
        assert len(properties["AlarmDescription"]) <= 1024
        assert properties["DatapointsToAlarm"] <= properties["EvaluationPeriods"]


@pytest.mark.parametrize(("share", "of"), [(0, 1), (1, 19), (0, 20), (7, 20), (20, 20), (3, 1000)])
def test_the_expression_and_the_evaluator_agree(share: int, of: int) -> None:
    for alarm in ALARMS:
        math = {"IF": lambda test, yes, no: yes if test else no, "FILL": lambda value, _: value}
        found = eval(expression(alarm), {"__builtins__": {}}, math | {"share": share, "total": of})
        assert found == datapoint(alarm, share, of)
