"""Raw objects on S3, told of by queues and under Firehose's prefix, into a lake on S3 and Glue: each event once."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aws_lake import BUCKET, AwsLake, lake_on_aws
from aws_server import boto
from typer.testing import CliRunner

from tollmeter import etl
from tollmeter.cli.app import app
from tollmeter.etl import Scope, Span, commit
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.sources import sqs
from tollmeter.model.emf import EventLines
from tollmeter.model.errors import SettingError
from tollmeter.model.events import LlmCall, decode, encode, utc_now
from tollmeter.model.home import Home, LakePlace
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
HOUR = "raw/dt=2026-11-03/hour=07"
RAW = Scope((f"s3://{BUCKET}/raw",))

# One of several at once; nothing but the lake keeps them apart.
RUN = """
import sys
from pathlib import Path
from tollmeter import etl
from tollmeter.etl import Scope, Shard
from tollmeter.model.errors import ConflictError
from tollmeter.model.home import Home, LakePlace
home = Home(Path(sys.argv[1]), LakePlace(url=sys.argv[2], region=sys.argv[3], endpoint=sys.argv[4]))
report = etl.run(home, scope=Scope((sys.argv[5],), shard=Shard.parse(sys.argv[6])), lock=False)
print(report.lines, report.landed, report.duplicates, report.quarantined)
"""


def call(n: int) -> bytes:
    event_id = imported_event_id("source", str(n))
    return encode(LlmCall(event_id=event_id, timestamp=START + timedelta(minutes=n), service="s", input_tokens=n))


def calls(numbers: Iterable[int]) -> bytes:
    return b"".join(map(call, numbers))


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLake]:
    with lake_on_aws(tmp_path, monkeypatch) as lake:
        yield lake


def rows(home: Home, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = existing_tables(home)[table].scan().to_arrow().to_pylist()
    return found


def landed(home: Home) -> list[int]:
    return sorted(row["input_tokens"] for row in rows(home, "llm_calls"))


def test_objects_by_upload_hour_of_several_accounts_and_late_ones(aws: AwsLake) -> None:
    aws.put(f"{HOUR}/a.jsonl.zst", zstandard.compress(calls([1, 2])))
    aws.put("raw/111122223333/dt=2026-11-03/hour=06/b", gzip.compress(calls([2, 3])))
    aws.put("raw/firehose/2026/11/03/08/c", b"".join(call(n).strip() for n in (4, 5)))
    aws.put("raw/stray.jsonl", calls([6]))
    aws.put(f"{HOUR}/.hidden", b"x")
    report = etl.run(aws.home, scope=RAW)
    assert (report.objects, report.lines, report.landed, report.duplicates) == (4, 7, 6, 1)
    assert etl.run(aws.home, scope=RAW).objects == 0
    aws.put(f"{HOUR}/late", calls([1, 7]) + b"broken\n")
    assert [each.key for each in etl.pending_objects(aws.home, RAW)] == [f"s3://{BUCKET}/{HOUR}/late"]
    report = etl.run(aws.home, scope=RAW)
    assert (report.objects, report.landed, report.duplicates, report.quarantined) == (1, 1, 1, 1)
    assert landed(aws.home) == [1, 2, 3, 4, 5, 6, 7]
    assert [row["object_key"] for row in rows(aws.home, "quarantine")] == [f"s3://{BUCKET}/{HOUR}/late"]
    for key, n in {f"{HOUR}/new": 11, "raw/111122223333/dt=2026-11-03/hour=09/n": 12, "raw/new": 13}.items():
        aws.put(key, calls([n]))
    subscription: dict[str, Any] = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": "START RequestId: 1"}]}
    subscription["logEvents"] += [{"message": EventLines(Settings.load({})).encode(decode(call(14))).decode()}]
    aws.put("raw/firehose/2026/11/03/09/logs", gzip.compress(json.dumps(subscription).encode()))
    report = etl.run(aws.home, scope=RAW)
    assert (report.objects, report.lines, report.landed) == (4, 4, 4)
    assert landed(aws.home)[7:] == [11, 12, 13, 14]
    runs = sorted(rows(aws.home, "runs"), key=lambda row: row["timestamp"])
    assert json.loads(runs[1]["counts"])["bytes"] == len(calls([1, 7])) + 7
    assert all(run["lag_ms"] >= 0 for run in runs)


def test_a_span_of_hours_and_a_dry_run(aws: AwsLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in (6, 7, 8):
        aws.put(f"raw/dt=2026-11-03/hour=0{hour}/a", calls([hour]))
    monkeypatch.setenv("TOLLMETER_LAKE_URL", aws.home.place.url)
    options = ["--since", "2026-11-03T07", "--until", "2026-11-03T08", "--home", str(aws.home.path), "--json"]
    command = ["etl", "run", f"s3://{BUCKET}/raw", *options]
    dry = CliRunner().invoke(app, [*command, "--dry-run"])
    assert [each["key"] for each in json.loads(dry.stdout)["objects"]] == [f"s3://{BUCKET}/{HOUR}/a"]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, json.loads(done.stdout)["landed"]) == (0, 1)
    assert landed(aws.home) == [7]
    rest = etl.run(aws.home, scope=RAW)
    assert (rest.objects, rest.landed) == (2, 2)


def test_the_events_of_runs_as_lines_that_metrics_are_made_of(home: Home) -> None:
    def told(*arguments: str) -> list[dict[str, Any]]:
        done = CliRunner().invoke(app, ["etl", "run", *arguments, "--emf", "--home", str(home.path)])
        return [json.loads(line) for line in done.stdout.splitlines()]

    home.raw.mkdir(parents=True)
    (home.raw / "a.jsonl").write_bytes(calls([1, 1, 2]))
    (batch,) = told()
    assert (batch["tollmeter.rows_landed"], batch["tollmeter.duplicates"], batch["tollmeter.quarantined"]) == (2, 1, 0)
    assert batch["tollmeter.lag_ms"] >= 0
    assert {each["Namespace"] for each in batch["_aws"]["CloudWatchMetrics"]} == {"Tollmeter"}
    (idle,) = told()
    assert (idle["tollmeter.runs"], idle["tollmeter.rows_landed"]) == (1, 0)
    (home.raw / "b.jsonl").write_bytes(calls([3]))
    (home.state / "etl.lock").unlink()
    (home.state / "etl.lock").mkdir()
    (failed,) = told()
    assert (failed["tollmeter.failed_runs"], failed["error_type"]) == (1, "IsADirectoryError")


def test_too_many_quarantined_lines_are_a_finding(home: Home) -> None:
    home.raw.mkdir(parents=True)
    (home.raw / "a.jsonl").write_bytes(calls(range(9)) + b"broken\n")
    found = CliRunner().invoke(app, ["etl", "run", "--home", str(home.path), "--json"])
    assert (found.exit_code, json.loads(found.stdout)["too_many_quarantined"]) == (1, True)
    assert CliRunner().invoke(app, ["etl", "run", "--home", str(home.path)]).exit_code == 0
    wrong = CliRunner().invoke(app, ["etl", "run", "ftp://x", "--home", str(home.path)])
    assert isinstance(wrong.exception, SettingError)
    with pytest.raises(SettingError, match="5/4"):
        etl.Shard.parse("5/4")


def at_once(home: Home, source: str, shards: list[str]) -> None:
    """Runs without any lock, each of a home of its own; what each says must add up, and the lake must be right."""
    place = home.place
    fixed = [place.url, place.region, place.endpoint, source]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(home.path.with_name(f"home-{n}")), *fixed, shard], stdout=subprocess.PIPE
        )
        for n, shard in enumerate(shards)
    ]
    counts = [[int(text) for text in process.communicate(timeout=400)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(shards)
    assert all(lines == landed + duplicates + faults for lines, landed, duplicates, faults in counts)
    assert landed(home) == list(range(45))
    quarantine = [row["raw_text"] for row in rows(home, "quarantine")]
    assert sorted(quarantine) == [f"broken {number}" for number in range(8)]
    assert etl.run(home, scope=Scope((source,))).objects == 0


def objects() -> dict[str, bytes]:
    return {
        f"raw/dt=2026-11-03/hour=0{number}/a": calls(range(number * 5, number * 5 + 10)) + b"broken %d\n" % number
        for number in range(8)
    }


SIX = pytest.param(["1/4", "2/4", "3/4", "4/4", "1/4", "1/1"], marks=pytest.mark.full)


@pytest.mark.parametrize("shards", [pytest.param(["1/2", "2/2", "1/1"], marks=pytest.mark.full), SIX], ids=len)
def test_shards_at_once_and_two_runs_of_the_same(aws: AwsLake, shards: list[str]) -> None:
    for key, content in objects().items():
        aws.put(key, content)
    at_once(aws.home, f"s3://{BUCKET}/raw", shards)
    assert aws.glue.refused or len(shards) < 6, "no two of them ever met"


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.full)])
def test_runs_at_once_on_one_folder_and_sqlite(tmp_path: Path, count: int) -> None:
    for key, content in objects().items():
        path = tmp_path / key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    home = Home(tmp_path / "home", LakePlace(url=str(tmp_path / "lake")))
    at_once(home, str(tmp_path / "raw"), ["1/1"] * count)


REST = [pytest.param(name, marks=pytest.mark.full) for name in ("ingest_ledger", "quarantine", "runs")]


@pytest.mark.parametrize("table", ["llm_calls", *REST])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    aws: AwsLake, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.put(f"{HOUR}/a", calls(range(10)) + b"broken\n")
    lost: list[str] = []

    def lose(name: str) -> bool:
        if name == table and lost.count(name) < 2:
            lost.append(name)
            return True
        return False

    monkeypatch.setattr(commit, "_FIRST_PAUSE_S", 0.001)
    aws.put("raw/dt=2026-11-03/hour=06/b", b"")
    etl.run(aws.home, scope=Scope((f"s3://{BUCKET}/raw/dt=2026-11-03/hour=06",)))
    aws.glue.lose_answer = lose
    report = etl.run(aws.home, scope=RAW)
    assert lost
    assert (report.lines, report.landed, report.quarantined, report.duplicates) == (11, 10, 1, 0)
    assert landed(aws.home) == list(range(10))
    assert len(rows(aws.home, "quarantine")) == 1
    assert len(rows(aws.home, "runs")) == 2
    assert sum(row["objects"] for row in rows(aws.home, "ingest_ledger")) == 2


def notification(key: str) -> str:
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}
    return json.dumps({"Records": [record]})


@pytest.fixture
def queue(aws: AwsLake) -> str:
    client = boto("sqs")
    dead = client.create_queue(QueueName="raw-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url: str = client.create_queue(QueueName="raw", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    return url


def waiting(url: str) -> tuple[int, int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


def test_messages_are_deleted_after_the_ledger_and_redelivered_ones_land_nothing(
    aws: AwsLake, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs, "_WAIT_S", 0)
    client, about = boto("sqs"), Scope((queue,))
    now = f"raw/dt={utc_now():%Y-%m-%d}/hour={utc_now():%H}"
    aws.put(f"{now}/a b", calls([1, 2]))
    aws.put(f"{HOUR}/c", calls([2, 3]))
    aws.put(f"{HOUR}/untold", calls([4]))
    for body in (notification(f"{now}/a+b"), notification(f"{HOUR}/c"), json.dumps({"Event": "s3:TestEvent"})):
        client.send_message(QueueUrl=queue, MessageBody=body)
    held: list[int] = []

    def look(name: str) -> bool:
        held.append(waiting(queue)[1] if name == "ingest_ledger" else 2)
        return False

    aws.glue.lose_answer = look
    report = etl.run(aws.home, scope=about)
    # The one that nobody was told of is found by listing its hour, which is over.
    assert (report.lines, report.landed, report.duplicates) == (5, 4, 1)
    assert held[: held.index(0)] == [2] * held.index(0)
    assert held.index(0) > 4  # quarantine aside: runs, llm_calls, the run's row and the ledger came first
    assert waiting(queue) == (0, 0)
    aws.glue.lose_answer = lambda _: False
    for key in (f"{now}/a+b", f"{HOUR}/c"):  # the hour of the second is closed: it is listed, and not read
        client.send_message(QueueUrl=queue, MessageBody=notification(key))
    assert etl.pending_objects(aws.home, about) == []
    assert etl.run(aws.home, scope=about).objects == 0
    assert waiting(queue) == (0, 0)
    assert landed(aws.home) == [1, 2, 3, 4]


def test_what_cannot_be_read_ends_in_the_dead_letter_queue(
    aws: AwsLake, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs, "_WAIT_S", 0)
    monkeypatch.setattr(sqs, "VISIBILITY_S", 0)
    monkeypatch.setattr(sqs, "_MOST_MESSAGES", 8)
    client = boto("sqs")
    for body in ("no json", notification(f"{HOUR}/gone")):
        client.send_message(QueueUrl=queue, MessageBody=body)
    assert etl.run(aws.home, scope=Scope((queue,))).objects == 0
    dead = client.get_queue_url(QueueName="raw-dead")["QueueUrl"]
    client.receive_message(QueueUrl=queue)
    assert waiting(dead)[0] == 2


def test_a_plan_is_resumed_from_another_machine(aws: AwsLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.put(f"{HOUR}/a", calls(range(10)))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tollmeter.etl.batch.record", dies)
        with pytest.raises(KeyboardInterrupt):
            etl.run(aws.home, scope=RAW)
    elsewhere = Home(tmp_path / "elsewhere", aws.home.place)
    aws.put(f"{HOUR}/b", calls([10]))
    report = etl.run(elsewhere, scope=RAW)
    assert (report.objects, report.lines, report.landed, report.duplicates) == (2, 11, 11, 0)
    assert landed(aws.home) == list(range(11))
    assert len(rows(aws.home, "runs")) == 2
    assert boto("s3").list_objects_v2(Bucket=BUCKET, Prefix="lake/_state/etl/plans").get("KeyCount") == 0


def test_hours_of_a_folder_that_change_long_after_are_found(home: Home) -> None:
    def put(hour: int, name: str, *numbers: int) -> None:
        folder = home.raw / f"dt=2026-11-{hour // 24 + 1:02}" / f"hour={hour % 24:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(calls(numbers))

    for hour in (0, 100, 200):
        put(hour, "a.jsonl", hour)
    assert etl.run(home).landed == 3
    assert len(rows(home, "ingest_ledger")) == 2  # the newest hour, and all before
    put(0, "late.jsonl", 0, 1)
    report = etl.run(home)
    assert (report.landed, report.lines - report.duplicates) == (1, 1)
    assert etl.run(home).objects == 0
    assert etl.run(home, scope=Scope(span=Span(until=START))).landed == 0
