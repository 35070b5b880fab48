"""A lake on S3 and Glue, on loopback: moto, and what it gets wrong about Glue put right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from aws_server import REGION, aws_on_loopback, boto, lead_boto3_to
from moto.core.exceptions import JsonRESTError
from moto.glue.responses import GlueResponse

from tollmeter.model.home import Home, LakePlace

BUCKET = "tollmeter-lake"


class LostAnswerError(JsonRESTError):
    """What a client sees of an update that was made."""

    code = 500


@dataclass
class GlueDouble:
    """What moto's Glue lacks: a stale `VersionId` is refused, as AWS does; and answers that get lost on the way.

    `lose_answer` is asked with the table's name after each update that was made.
    """

    lose_answer: Callable[[str], bool] = lambda _: False
    updates: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, response: Any, original: Callable[[Any], Any]) -> Any:
        asked = response.parameters
        name = asked["TableInput"]["Name"]
        with self.lock:
            table = response.glue_backend.get_table(asked["DatabaseName"], name)
            if asked.get("VersionId") != str(table._current_version):
                self.refused.append(name)
                raise JsonRESTError("ConcurrentModificationException", f"{name} has another version")
            done = original(response)
            self.updates.append(name)
        if self.lose_answer(name):
            raise LostAnswerError("InternalServiceException", "the update was made, and the answer is lost")
        return done


@dataclass
class AwsLake:
    """A home whose lake is on the AWS of a test."""

    home: Home
    url: str
    glue: GlueDouble

    def put(self, key: str, content: bytes) -> None:
        """An object of the bucket."""
        boto("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


@contextmanager
def lake_on_aws(folder: Path, monkeypatch: pytest.MonkeyPatch, **place: str) -> Iterator[AwsLake]:
    """A fresh AWS with a bucket; boto3 of this process and of its children is led to it."""
    double, original = GlueDouble(), GlueResponse.update_table
    monkeypatch.setattr(GlueResponse, "update_table", lambda response: double.update(response, original))
    with aws_on_loopback() as url:
        urlopen(f"{url}/moto-api/reset", b"").close()  # its state outlives a server
        lead_boto3_to(url, monkeypatch)
        boto("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        chosen = {"url": f"s3://{BUCKET}/lake", "region": REGION, "endpoint": url} | place
        yield AwsLake(Home(folder / "home", LakePlace(**chosen)), url, double)
