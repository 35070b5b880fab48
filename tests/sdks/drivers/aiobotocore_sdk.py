"""aiobotocore bedrock-runtime: Converse and InvokeModel, plain and as event streams, on aiohttp."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
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
    """A client for each call: it lives in an event loop, as its users have it."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        del shared
        self.url = servers["bedrock"].url

    def reason(self, row: Row) -> str:
        return "" if row["provider"] == "bedrock" else f"of {row['provider']}"

    def cases(self, row: Row) -> Iterable[Case]:
        yield Case("async", row, partial(_call, self.url, row, {"total_max_attempts": 1}))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        headers = {"content-type": "application/json", "x-amzn-errortype": "ThrottlingException:http://internal"}
        first = (Answer(429, headers, [b'{"message":"Too many tokens, please wait before trying again."}']),)
        retries = {"mode": "standard", "total_max_attempts": 3}
        for endpoint in _METHODS:
            row = next(row for row in rows if row["endpoint"] == endpoint and row["usage"])
            yield Case("async retried", row, partial(_call, self.url, row, retries), first)


async def _call(url: str, row: Row, retries: dict[str, Any]) -> Any:
    client = get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=AioConfig(retries=retries),
    )
    async with client as opened:
        answer = await getattr(opened, _METHODS[row["endpoint"]])(**_arguments(row))
        if row["endpoint"] == "converse-stream":
            answer["stream"] = [event async for event in answer["stream"]]
        elif row["stream"]:
            answer["body"] = [event async for event in answer["body"]]
        elif row["endpoint"] == "invoke":
            answer["body"] = await answer["body"].read()
        return plain(answer)


def _arguments(row: Row) -> dict[str, Any]:
    found = _MODEL.search(row["url"])
    assert found
    body = row["request_body"] or {}
    if row["endpoint"].startswith("converse"):
        return {"modelId": unquote(found[1]), **body}
    return {"modelId": unquote(found[1]), "body": json.dumps(body)}
