"""CloudWatch takes the boards, and gives them back as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from aws_server import REGION, aws_on_loopback, boto, lead_boto3_to

from tollmeter.dashboards.platforms import BOARDS, Target, render


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with aws_on_loopback() as url:
        lead_boto3_to(url, monkeypatch)
        yield url


def test_cloudwatch_takes_every_board_and_gives_it_back(aws: str) -> None:
    del aws
    target, cloudwatch = Target("chat", "production", region=REGION), boto("cloudwatch")
    bodies = {target.named(name): render("cloudwatch", name, target) for name in BOARDS}
    for name, body in bodies.items():
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
    listed = {entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]}
    assert listed == {f"tollmeter-{board}-chat-production" for board in BOARDS}
    for name, body in bodies.items():
        assert json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]) == body
