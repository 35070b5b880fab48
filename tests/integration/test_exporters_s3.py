"""Segments to S3 and lines to Firehose, against moto on loopback and against servers that fail."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import zstandard
from aws_server import aws_on_loopback, boto, lead_boto3_to

from tollmeter.exporters.checking import check
from tollmeter.exporters.forwarder import Forwarder
from tollmeter.exporters.sinks import s3 as s3_module
from tollmeter.exporters.sinks.firehose import FirehoseStream
from tollmeter.exporters.sinks.s3 import S3Objects
from tollmeter.model.errors import SettingError
from tollmeter.model.events import Request, encode
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings
from tollmeter.model.spool import close_segment, create_segment, service_folder

BUCKET = "tollmeter-lake"
S3_ONLY = Settings.load({}, sinks=("s3",), raw_url=f"s3://{BUCKET}/raw", forward_interval_s=0.05)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with aws_on_loopback() as url:
        yield url


@pytest.fixture
def bucket(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    lead_boto3_to(aws, monkeypatch)
    s3 = boto("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield s3
    for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def write(home: Home, count: int, *, size: int = 0) -> list[str]:
    segment = create_segment(service_folder(home.spool, "chat"))
    ids = [new_event_id() for _ in range(count)]
    for event_id in ids:
        noise = os.urandom(size // 2).hex()
        event = Request(event_id=event_id, timestamp=datetime.now(UTC), service="chat", tags={"noise": noise})
        os.write(segment.fd, encode(event))
    close_segment(segment)
    return ids


def stored(s3: Any) -> dict[str, list[str]]:
    found = {}
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        events = [json.loads(line) for line in zstandard.decompress(body).splitlines()]
        if ids := [event["event_id"] for event in events if event["service"] == "chat"]:
            found[entry["Key"]] = ids
    return found


def test_the_check_tries_what_the_sinks_need_and_leaves_nothing(home: Home, bucket: Any) -> None:
    sinks = {"sinks": ("s3", "firehose", "cloudwatch_logs"), "raw_url": f"s3://{BUCKET}/raw"}
    found = list(check(home, Settings.load({}, **sinks, firehose_stream="nowhere")))
    told = {each.what: (each.level, each.text) for each in reversed(found)}
    assert told["s3"][0] == "ok"
    assert f"s3://{BUCKET}/raw/; looking, writing and listing uploads is allowed" in told["s3"][1]
    assert told["firehose"][0] == "finding"
    assert "ResourceNotFoundException" in told["firehose"][1]
    assert told["cloudwatch_logs"][0] == "ok"
    assert bucket.list_objects_v2(Bucket=BUCKET).get("Contents", []) == []
    assert bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    missing = next(check(home, Settings.load({}, sinks=("s3",), raw_url="s3://none")))
    assert missing.level == "finding"


def test_segments_become_objects_by_hour_of_upload(home: Home, bucket: Any) -> None:
    first, second = write(home, 20), write(home, 5)
    report = Forwarder(home, S3_ONLY).run_once()
    report.check()
    objects = stored(bucket)
    assert sorted(objects.values()) == sorted([first, second])
    now = datetime.now(UTC)
    hours = {f"raw/dt={moment:%Y-%m-%d}/hour={moment:%H}" for moment in (now, now - timedelta(minutes=2))}
    assert {key.rpartition("/")[0] for key in objects} <= hours
    assert (report.of("s3", "acknowledged"), report.of("s3", "objects"), report.waiting) == (25, 2, 0)


def test_an_object_that_is_there_is_an_acknowledgement(home: Home, bucket: Any) -> None:
    ids = write(home, 3)
    [path] = home.spool.glob("chat/*.jsonl")
    sink = S3Objects(S3_ONLY, home)
    home.state.mkdir(parents=True)
    key = sink.key_for(path.stem, datetime.now(UTC))
    sink.store(path, key)
    path.with_name("other.jsonl").write_bytes(b'{"event_id":"x","service":"chat"}\n')
    sink.store(path.with_name("other.jsonl"), key)
    assert stored(bucket) == {key: ids}, "never over another"
    path.with_name("other.jsonl").unlink()
    Forwarder(home, S3_ONLY).run_once().check()
    assert stored(bucket) == {key: ids}


def test_objects_are_found_by_hour_when_the_notes_are_lost(home: Home, bucket: Any) -> None:
    del bucket
    home.state.mkdir(parents=True)
    sink, now = S3Objects(S3_ONLY, home), datetime.now(UTC)
    segment = write(home, 2)
    [path] = home.spool.glob("chat/*.jsonl")
    assert sink.find(path.stem, now) is None
    sink.store(path, sink.key_for(path.stem, now))
    later = now + timedelta(hours=30)
    assert sink.find(path.stem, later) == sink.key_for(path.stem, now)
    assert len(segment) == 2


def test_a_large_segment_goes_in_parts_whole_or_not_at_all(
    home: Home, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "_PART", 5 << 20)
    ids = write(home, 60, size=400_000)
    report = Forwarder(home, S3_ONLY).run_once()
    report.check()
    [(key, found)] = stored(bucket).items()
    assert found == ids
    head = bucket.head_object(Bucket=BUCKET, Key=key)
    assert head["ETag"].strip('"').endswith("-3"), "three parts"
    assert bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_a_part_that_fails_leaves_nothing_behind(home: Home, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_PART", 5 << 20)
    write(home, 60, size=400_000)
    [path] = home.spool.glob("chat/*.jsonl")
    home.state.mkdir(parents=True)
    sink = S3Objects(S3_ONLY, home)
    monkeypatch.setattr(
        sink._client, "complete_multipart_upload", lambda **_: (_ for _ in ()).throw(ConnectionError("gone"))
    )
    with pytest.raises(ConnectionError):
        sink.store(path, "raw/x.jsonl.zst")
    assert stored(bucket) == {}
    assert bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    bucket.create_multipart_upload(Bucket=BUCKET, Key="raw/x.jsonl.zst")
    sink.discard("raw/x.jsonl.zst")
    assert bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_objects_are_encrypted_with_the_key_that_is_set(home: Home, bucket: Any) -> None:
    key = boto("kms").create_key()["KeyMetadata"]["Arn"]
    write(home, 1)
    settings = Settings.load({}, sinks=("s3",), raw_url=f"s3://{BUCKET}", kms_key=key)
    Forwarder(home, settings).run_once().check()
    [name] = stored(bucket)
    head = bucket.head_object(Bucket=BUCKET, Key=name)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert name.startswith("dt=")


def test_a_bucket_that_is_missing_keeps_the_spool(home: Home, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_boto3_to(aws, monkeypatch)
    write(home, 4)
    report = Forwarder(home, S3_ONLY).run_once()
    assert "NoSuchBucket" in report.errors["s3"] or "404" in report.errors["s3"]
    assert len(list(home.spool.glob("chat/*.jsonl"))) == 1


@pytest.mark.parametrize("url", ["", "bucket/raw", "https://bucket/raw", "s3:///raw", "s3://bucket/raw?x=1"])
def test_an_address_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(SettingError, match="an address such as s3://bucket/raw"):
        s3_module.parse_url(url)


class Flaky(BaseHTTPRequestHandler):
    """A Firehose that refuses each record once, one for ever, and says so inside a 200."""

    seen: ClassVar[Counter[str]]
    taken: ClassVar[list[bytes]]
    never = b"never"

    def do_POST(self) -> None:
        import base64

        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        verdicts = []
        for record in asked["Records"]:
            data = base64.b64decode(record["Data"])
            self.seen[record["Data"]] += 1
            if self.seen[record["Data"]] == 1 or self.never in data:
                verdicts.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self.taken.append(data)
                verdicts.append({"RecordId": "1"})
        failed = sum("ErrorCode" in verdict for verdict in verdicts)
        body = json.dumps({"FailedPutCount": failed, "RequestResponses": verdicts}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("x-amzn-requestid", "r-1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Quiet."""


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    handler = type("Fresh", (Flaky,), {"seen": Counter(), "taken": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lead_boto3_to(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield handler
    server.shutdown()
    server.server_close()


FIREHOSE = Settings.load({}, sinks=("firehose",), firehose_stream="events")


def test_records_refused_inside_a_good_answer_are_put_again(flaky: type[Flaky]) -> None:
    lines = [b'{"n":%d,"pad":"%s"}' % (number, b"x" * 100_000) for number in range(40)]
    receipt = FirehoseStream(FIREHOSE).send([*lines, b"x" * (1001 << 10)])
    assert (receipt.acknowledged, receipt.drops) == (40, {"too_large": 1})
    assert b"".join(flaky.taken).splitlines() == lines
    assert max(map(len, flaky.taken)) <= 256 << 10


def test_a_record_refused_for_ever_fails_the_batch_which_is_put_again(flaky: type[Flaky], home: Home) -> None:
    with pytest.raises(ConnectionError, match="1 records refused: ServiceUnavailableException"):
        FirehoseStream(FIREHOSE).send([b'{"n":"never"}'])
    assert flaky.taken == []
    ids = write(home, 3)
    report = Forwarder(home, FIREHOSE).run_once()
    report.check()
    assert report.of("firehose", "acknowledged") == 3
    assert [json.loads(line)["event_id"] for line in b"".join(flaky.taken).splitlines()][:3] == ids


def test_lines_reach_the_bucket_through_a_delivery_stream(home: Home, bucket: Any) -> None:
    boto("firehose").create_delivery_stream(
        DeliveryStreamName="events",
        S3DestinationConfiguration={"RoleARN": "arn:aws:iam::1:role/x", "BucketARN": f"arn:aws:s3:::{BUCKET}"},
    )
    ids = write(home, 30)
    Forwarder(home, FIREHOSE).run_once().check()
    bodies = [
        bucket.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]
    ]
    events = [json.loads(line) for line in b"".join(bodies).splitlines()]
    assert [event["event_id"] for event in events if event["service"] == "chat"] == ids


def test_a_durable_stream_that_is_down_is_never_given_up(
    home: Home, flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, 3)
    monkeypatch.setattr(flaky, "never", b"event_id")
    settings = Settings.load({}, sinks=("firehose",), firehose_stream="events", sink_max_lag_s=0.001)
    report = Forwarder(home, settings).run_once()
    assert "refused" in report.errors["firehose"]
    assert report.of("firehose", "produced") == 0
    assert len(list(home.spool.glob("chat/*.jsonl"))) == 1
