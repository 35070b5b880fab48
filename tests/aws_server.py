"""AWS on loopback: moto's server in a thread, and the environment that leads boto3 to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"


@contextmanager
def aws_on_loopback() -> Iterator[str]:
    """A fresh AWS; yields its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def lead_boto3_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every boto3 client of this process, and of its children, to an address."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


def boto(service: str) -> Any:
    """A plain client of the AWS that boto3 was led to."""
    return boto3.client(service, region_name=REGION)
