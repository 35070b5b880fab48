"""The ETL as a Lambda function, given events as AWS shapes them, against S3 and Glue on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lake import BUCKET, AwsLake, lake_on_aws

from tollmeter.etl.aws_lambda import handler
from tollmeter.etl.lake import existing_tables
from tollmeter.model.errors import SettingError
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.ids import imported_event_id

HOUR = "raw/account=111122223333/dt=2026-11-03/hour=07"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "111122223333",
    "time": "2026-11-03T08:00:00Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:events:eu-central-1:111122223333:rule/tollmeter"],
    "detail": {},
}


class Context:
    """What a function is told of its time; each look takes some."""

    def __init__(self, *remaining_ms: int) -> None:
        self._left = list(remaining_ms)

    def get_remaining_time_in_millis(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def line(n: int) -> bytes:
    at = datetime(2026, 11, 3, 7, n, tzinfo=UTC)
    return encode(LlmCall(event_id=imported_event_id("lambda", str(n)), timestamp=at, service="s", input_tokens=n))


def message(name: str, body: Any) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return {
        "messageId": name,
        "receiptHandle": f"receipt-{name}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1762153200000"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "awsRegion": "eu-central-1",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:raw",
    }


def notification(*keys: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-central-1",
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-11-03T07:10:00.000Z",
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": BUCKET},
                "object": {"key": key.replace("=", "%3D"), "size": 9},
            },
        }
        for key in keys
    ]
    return {"Records": records}


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLake]:
    with lake_on_aws(tmp_path, monkeypatch) as lake:
        monkeypatch.setenv("TOLLMETER_LAKE_URL", lake.home.place.url)
        monkeypatch.setenv("TOLLMETER_RAW_URL", f"s3://{BUCKET}/raw")
        monkeypatch.setenv("TOLLMETER_HOME", str(lake.home.path))
        yield lake


def landed(aws: AwsLake) -> list[int]:
    return sorted(existing_tables(aws.home)["llm_calls"].scan().to_arrow()["input_tokens"].to_pylist())


def test_messages_of_s3_land_and_those_that_must_come_again_are_named(
    aws: AwsLake, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.put(f"{HOUR}/a", line(1))
    aws.put(f"{HOUR}/b", line(2))
    records = [
        message("landed", notification(f"{HOUR}/a")),
        message("half", notification(f"{HOUR}/b", f"{HOUR}/gone")),
        message("torn", '{"Records": ['),
        message("test", {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}),
    ]
    answer = handler({"Records": records}, Context(900_000))
    assert answer["batchItemFailures"] == [{"itemIdentifier": "half"}, {"itemIdentifier": "torn"}]
    assert (answer["landed"], answer["stopped"], answer["invariant_holds"]) == (2, False, True)
    assert json.dumps(answer)
    events = [json.loads(told) for told in capsys.readouterr().out.splitlines()]
    assert [event["kind"] for event in events] == ["run"]
    again = handler({"Records": records[:1]}, Context(900_000))
    assert (again["batchItemFailures"], again["landed"]) == ([], 0)
    assert landed(aws) == [1, 2]


def test_a_schedule_lands_what_is_there_and_time_that_runs_out_leaves_the_rest_to_the_next(
    aws: AwsLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.etl.plan.MAX_OBJECTS", 1)
    for n in (1, 2, 3):
        aws.put(f"{HOUR}/{n}", line(n))
    first = handler(SCHEDULED, Context(900_000, 600_000, 120_000))
    assert (first["objects"], first["stopped"]) == (1, True)
    assert landed(aws) == [1]
    queue = handler({"Records": [message("m", notification(f"{HOUR}/2"))]}, Context(1000, 400))
    assert (queue["batchItemFailures"], queue["stopped"]) == ([{"itemIdentifier": "m"}], True)
    rest = handler(SCHEDULED, Context(900_000))
    assert (rest["objects"], rest["stopped"]) == (2, False)
    assert landed(aws) == [1, 2, 3]


def test_an_invocation_names_hours_and_what_it_does_not_know_is_refused(aws: AwsLake) -> None:
    aws.put(f"{HOUR}/a", line(1))
    dry = {"since": "2026-11-03T07", "until": "2026-11-03T08", "dry_run": True}
    found = handler(dry, Context(900_000))
    assert found["objects"] == [{"key": f"s3://{BUCKET}/{HOUR}/a", "bytes": len(line(1))}]
    assert handler({"since": "2026-11-03T08"}, Context(900_000))["objects"] == 0
    assert handler(dry | {"dry_run": False}, Context(900_000))["landed"] == 1
    with pytest.raises(SettingError, match="table"):
        handler({"table": "requests"}, Context(900_000))
    with pytest.raises(SettingError, match="messages of SQS"):
        handler(notification(f"{HOUR}/a"), Context(900_000))
