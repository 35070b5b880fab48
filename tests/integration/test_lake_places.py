"""A lake in a folder and one on S3 are the same lake: tables, files, SQL, state, encryption, role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lake import BUCKET, AwsLake, lake_on_aws
from aws_server import boto

from tollmeter import etl
from tollmeter.etl.lake import data_files, existing_tables
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.home import Home, LakePlace
from tollmeter.model.ids import imported_event_id
from tollmeter.model.settings import Settings
from tollmeter.sql.aws import frozen_credentials
from tollmeter.sql.catalog import catalog_file
from tollmeter.sql.engine import open_engine
from tollmeter.sql.places import open_place

START = datetime(2026, 11, 1, 22, tzinfo=UTC)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLake]:
    with lake_on_aws(tmp_path, monkeypatch) as lake:
        yield lake


def put(home: Home, name: str, *numbers: int) -> None:
    home.raw.mkdir(parents=True, exist_ok=True)
    calls = (
        LlmCall(event_id=imported_event_id("p", str(n)), timestamp=START, service="s", input_tokens=n) for n in numbers
    )
    (home.raw / name).write_bytes(b"".join(map(encode, calls)))


def land_and_ask(home: Home) -> list[Any]:
    put(home, "a.jsonl", 1, 2)
    assert etl.run(home).landed == 2
    put(home, "b.jsonl", 2, 3)
    again = etl.run(home)
    assert (again.landed, again.duplicates) == (1, 1)
    with open_engine("duckdb", home) as engine:
        found = engine.execute("SELECT input_tokens FROM llm_calls ORDER BY input_tokens").to_pylist()
        calls = engine.execute("SELECT sum(calls) AS calls FROM rollup_calls_hourly").to_pylist()
    return [row["input_tokens"] for row in found] + [int(calls[0]["calls"])]


def test_a_lake_on_s3_and_glue_is_written_and_read(aws: AwsLake) -> None:
    assert land_and_ask(aws.home) == [1, 2, 3, 3]
    files = data_files(existing_tables(aws.home)["llm_calls"])
    assert all(
        file.startswith(f"s3://{BUCKET}/lake/tollmeter.db/llm_calls/data/event_date=2026-11-01/") for file in files
    )
    (table,) = [t for t in boto("glue").get_tables(DatabaseName="tollmeter")["TableList"] if t["Name"] == "llm_calls"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert not aws.home.lake.exists()
    newest = {table.table: table.newest for table in etl.status(aws.home).tables}
    assert newest["llm_calls"] == START.replace(tzinfo=None)


@pytest.mark.full
def test_a_lake_on_s3_with_a_sqlite_catalog(aws: AwsLake) -> None:
    home = replace(aws.home, place=replace(aws.home.place, catalog="sqlite"))
    assert land_and_ask(home) == [1, 2, 3, 3]
    assert catalog_file(home) == home.lake / "catalog.sqlite"
    assert aws.glue.updates == []


def test_a_lake_in_another_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", LakePlace(url=str(tmp_path / "elsewhere")))
    assert land_and_ask(home) == [1, 2, 3, 3]
    assert (tmp_path / "elsewhere" / "catalog.sqlite").exists()
    assert not home.lake.exists()


@pytest.mark.full
def test_another_database_an_assumed_role_and_everything_encrypted_with_a_key(aws: AwsLake) -> None:
    key = boto("kms").create_key()["KeyMetadata"]["KeyId"]
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = boto("iam").create_role(RoleName="lake", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    home = replace(aws.home, place=replace(aws.home.place, kms_key=key, role_arn=role, database="metering"))
    found = frozen_credentials(home.place)
    assert found.token
    assert found.access_key != "test"
    assert land_and_ask(home) == [1, 2, 3, 3]
    assert boto("glue").get_tables(DatabaseName="metering")["TableList"]
    open_place(home).state().replace("x.json", b"{}")
    client = boto("s3")
    heads = [
        client.head_object(Bucket=BUCKET, Key=found["Key"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="lake/")
        for found in page["Contents"]
    ]
    assert len(heads) > 20
    assert {(head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")) for head in heads} == {("aws:kms", key)}


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_state_objects(kind: str, aws: AwsLake) -> None:
    home = aws.home if kind == "s3" else Home(aws.home.path)
    state = open_place(home).state()
    assert state.read("etl/plan.json") is None
    assert state.create("etl/plan.json", b"1")
    assert not state.create("etl/plan.json", b"2")
    assert state.read("etl/plan.json") == b"1"
    state.replace("etl/plan.json", b"3")
    state.replace("etl/plans/b.json", b"4")
    assert state.read("etl/plan.json") == b"3"
    assert state.names("etl/plan") == ["etl/plan.json", "etl/plans/b.json"]
    assert state.names("etl/plans/") == ["etl/plans/b.json"]
    state.delete("etl/plan.json")
    state.delete("etl/plan.json")
    assert state.names("etl/") == ["etl/plans/b.json"]


def test_settings_place_the_lake(tmp_path: Path) -> None:
    settings = Settings.load({"AWS_ENDPOINT_URL": "http://localhost:1"}, lake_url="s3://b/lake/", region="eu-west-1")
    place = Home.resolve(tmp_path, settings).place
    assert (place.url, place.endpoint, place.region, place.database) == (
        "s3://b/lake", "http://localhost:1", "eu-west-1", "tollmeter",
    )  # fmt: skip
