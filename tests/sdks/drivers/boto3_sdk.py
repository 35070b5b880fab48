"""boto3 bedrock-runtime: Converse and InvokeModel, plain and as event streams."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import boto3
from botocore.config import Config
from recorded import Row
from sdks.drivers.driving import Case, plain
from sdks.drivers.replay import Answer, Provider

_MODEL: Final = re.compile(r"/model/([^/]+)/")
_METHODS: Final = {
    "converse": "converse",
    "converse-stream": "converse_stream",
    "invoke": "invoke_model",
    "invoke-with-response-stream": "invoke_model_with_response_stream",
}


class Driver:
    """One client of each retry mode."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        url = servers["bedrock"].url
        self.client = _client(url, {"total_max_attempts": 1})
        self.patient = [
            (mode, _client(url, {"mode": mode, "total_max_attempts": 3})) for mode in ("legacy", "standard")
        ]

    def reason(self, row: Row) -> str:
        return "" if row["provider"] == "bedrock" else f"of {row['provider']}"

    def cases(self, row: Row) -> Iterable[Case]:
        yield Case("sync", row, lambda: _call(self.client, row))
        if row["endpoint"] == "invoke" and row["status"] == 200:
            yield Case("body in pieces", row, lambda: _in_pieces(self.client, row))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        headers = {"content-type": "application/json", "x-amzn-errortype": "ThrottlingException:http://internal"}
        first = (Answer(429, headers, [b'{"message":"Too many tokens, please wait before trying again."}']),)
        for endpoint in _METHODS:
            row = next(row for row in rows if row["endpoint"] == endpoint and row["usage"])
            for mode, client in self.patient:
                yield Case(f"sync retried ({mode})", row, partial(_call, client, row), first)


def _client(url: str, retries: dict[str, Any]) -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=Config(retries=retries),
    )


def _arguments(row: Row) -> dict[str, Any]:
    found = _MODEL.search(row["url"])
    assert found
    body = row["request_body"] or {}
    if row["endpoint"].startswith("converse"):
        return {"modelId": unquote(found[1]), **body}
    return {"modelId": unquote(found[1]), "body": json.dumps(body)}


def _call(client: Any, row: Row) -> Any:
    answer = getattr(client, _METHODS[row["endpoint"]])(**_arguments(row))
    if row["endpoint"] == "converse-stream":
        answer["stream"] = list(answer["stream"])
    elif row["stream"]:
        answer["body"] = list(answer["body"])
    elif row["endpoint"] == "invoke":
        answer["body"] = answer["body"].read()
    return plain(answer)


def _in_pieces(client: Any, row: Row) -> Any:
    return [plain(piece) for piece in client.invoke_model(**_arguments(row))["body"].iter_chunks(100)]
