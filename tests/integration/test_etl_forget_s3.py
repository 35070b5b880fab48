"""Forgetting and retention reach raw objects in a bucket: what is left is right, not read again, and it is proven."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aws_lake import BUCKET, AwsLake, lake_on_aws
from aws_server import boto

from tollmeter import etl
from tollmeter.etl import Scope
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance import vacuuming
from tollmeter.etl.raw_places.s3 import UPLOADED
from tollmeter.model.events import LlmCall, encode, utc_now
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
CLOSED = "raw/account=1/dt=2026-11-03/hour=07"
ANN = Subject("user_id", "ann-4711")
SETTINGS = Settings.load({}, raw_url=f"s3://{BUCKET}/raw", vacuum_grace_s=0.000001)
ELSEWHERE = Scope((f"s3://{BUCKET}/firehose", f"s3://{BUCKET}/stray.jsonl"))


def call(n: int, user: str = ANN.value) -> bytes:
    return encode(LlmCall(event_id=imported_event_id("f", str(n)), timestamp=START, service="s", user_id=user))


def envelope(*lines: bytes) -> bytes:
    events = [{"id": "1", "timestamp": 1, "message": line.decode()} for line in (b"START RequestId: 1", *lines)]
    return json.dumps({"messageType": "DATA_MESSAGE", "logEvents": events}).encode()


OBJECTS = {
    f"{CLOSED}/plain.jsonl": call(1) + call(2, "bob") + b"broken\n",
    f"{CLOSED}/packed.jsonl.zst": zstandard.compress(call(3, "bob") + b"broken too\n" + call(4)),
    f"{CLOSED}/untouched.jsonl": call(5, "bob"),
    f"{CLOSED}/all.jsonl": call(6) + call(7),
    "raw/dt=2026-11-03/hour=09/alone.jsonl": call(8),
    "raw/none": call(9) + call(10, "bob"),
    "firehose/2026/11/03/08/row": gzip.compress(call(11).strip() + call(12, "bob").strip()),
    "firehose/2026/11/03/08/logs": gzip.compress(envelope(call(13), call(14, "bob"))),
    "stray.jsonl/x": call(15) + call(16, "bob"),
}
LEFT = {
    f"{CLOSED}/plain.jsonl": call(2, "bob") + b"broken\n",
    f"{CLOSED}/packed.jsonl.zst": call(3, "bob") + b"broken too\n",
    f"{CLOSED}/untouched.jsonl": call(5, "bob"),
    "raw/none": call(10, "bob"),
    "firehose/2026/11/03/08/row": call(12, "bob").strip(),
    "firehose/2026/11/03/08/logs": call(14, "bob"),
    "stray.jsonl/x": call(16, "bob"),
}


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLake]:
    with lake_on_aws(tmp_path, monkeypatch) as lake:
        yield lake


@pytest.fixture
def filled(aws: AwsLake) -> AwsLake:
    for key, content in OBJECTS.items():
        aws.put(key, content)
    etl.run(aws.home, settings=SETTINGS)
    etl.run(aws.home, settings=SETTINGS, scope=ELSEWHERE)
    assert len(rows(aws, "llm_calls")) == 16
    return aws


def rows(aws: AwsLake, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = existing_tables(aws.home)[table].scan().to_arrow().to_pylist()
    return found


def stored() -> dict[str, bytes]:
    listed = boto("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    keys = [each["Key"] for each in listed if not each["Key"].startswith("lake/")]
    return {key: boto("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def opened(content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    packed = content.startswith(b"\x28\xb5\x2f\xfd")
    return zstandard.ZstdDecompressor().decompressobj().decompress(content) if packed else content


def test_raw_objects_are_written_anew_and_not_read_again(filled: AwsLake) -> None:
    before = stored()
    planned = etl.forget(filled.home, ANN, dry_run=True, settings=SETTINGS)
    assert stored() == before
    report = etl.forget(filled.home, ANN, settings=SETTINGS)
    assert (report.raw_objects, report.raw_lines) == (planned.raw_objects, planned.raw_lines) == (8, 9)
    assert report.is_gone, report.found
    after = stored()
    assert {key: opened(content) for key, content in after.items()} == LEFT
    assert {key for key in after if after[key] == before[key]} == {f"{CLOSED}/untouched.jsonl"}
    assert after[f"{CLOSED}/packed.jsonl.zst"].startswith(b"\x28\xb5\x2f\xfd")
    kept = boto("s3").head_object(Bucket=BUCKET, Key=f"{CLOSED}/plain.jsonl")
    assert datetime.fromisoformat(kept["Metadata"][UPLOADED]) <= kept["LastModified"]

    for scope in (None, ELSEWHERE, None):
        assert etl.run(filled.home, settings=SETTINGS, scope=scope).objects == 0
    filled.put(f"{CLOSED}/late.jsonl", call(1) + call(17, "bob"))
    late = etl.run(filled.home, settings=SETTINGS)
    assert (late.objects, late.landed, late.forgotten, late.holds) == (1, 1, 1, True)
    again = etl.forget(filled.home, ANN, settings=SETTINGS)
    assert (again.raw_objects, again.raw_lines, again.is_gone) == (1, 1, True)
    assert etl.run(filled.home, settings=SETTINGS).objects == 0


@pytest.mark.full
def test_what_is_read_again_nevertheless_lands_nothing(filled: AwsLake) -> None:
    etl.forget(filled.home, ANN, settings=SETTINGS)
    ledger = existing_tables(filled.home)["ingest_ledger"]
    ledger.overwrite(ledger.scan().to_arrow().slice(0, 0))
    report = etl.run(filled.home, settings=SETTINGS)
    assert (report.objects, report.landed, report.quarantined, report.duplicates) == (4, 0, 0, 6)
    assert len(rows(filled, "quarantine")) == 2


@pytest.mark.full
def test_versions_that_a_bucket_keeps_are_a_finding(aws: AwsLake) -> None:
    client = boto("s3")
    aws.put("raw/a.jsonl", call(1) + call(2, "bob"))
    etl.run(aws.home, settings=SETTINGS)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    found = etl.forget(aws.home, ANN, settings=SETTINGS).found
    assert (f"s3://{BUCKET}/raw/", "1 older versions") in found
    assert {one.path for one in found} == {f"s3://{BUCKET}/raw/", f"s3://{BUCKET}/lake"}
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for old in page.get("Versions", ()):
            if not old["IsLatest"]:
                client.delete_object(Bucket=BUCKET, Key=old["Key"], VersionId=old["VersionId"])
    assert client.get_object(Bucket=BUCKET, Key="raw/a.jsonl")["Body"].read() == call(2, "bob")


@pytest.mark.full
def test_retention_deletes_what_has_landed_and_nothing_else(filled: AwsLake, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.put(f"{CLOSED}/pending.jsonl", call(20, "bob"))
    kept = SETTINGS.replace(raw_retention_days=2)
    assert etl.vacuum(filled.home, settings=kept).raw_objects == 0
    monkeypatch.setattr(vacuuming, "utc_now", lambda: utc_now() + timedelta(days=3))
    planned = etl.vacuum(filled.home, dry_run=True, settings=kept)
    assert (planned.raw_objects, len(stored())) == (len(OBJECTS), len(OBJECTS) + 1)
    report = etl.vacuum(filled.home, settings=kept)
    assert report.raw_objects == planned.raw_objects
    assert set(stored()) == {f"{CLOSED}/pending.jsonl"}
    assert (etl.run(filled.home, settings=kept).landed, len(rows(filled, "llm_calls"))) == (1, 17)
