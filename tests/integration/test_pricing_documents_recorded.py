"""Recorded answers as objects of the openai SDK, and as plain documents, say what their bytes say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openai import BaseModel
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from recorded import PROVIDERS, recorded_rows

from tollmeter.pricing import extract_usage, usage_of

pytestmark = pytest.mark.shared_data
OBJECTS: dict[str, type[BaseModel]] = {
    "chat.completion": ChatCompletion,
    "response": Response,
    "list": CreateEmbeddingResponse,
}


def documents(shared: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Whole JSON answers and their rows."""
    found = []
    for row in recorded_rows(shared):
        body = row["response_body"]
        if row["status"] < 400 and not row["stream"] and row["response_body_encoding"] != "base64":
            document = json.loads(body) if isinstance(body, str) else body
            if isinstance(document, dict):
                found.append((row, document))
    return found


def test_what_sdks_hand_out_says_what_was_on_the_wire(shared: Path) -> None:
    seen: Counter[str] = Counter()
    for row, document in documents(shared):
        provider = PROVIDERS.get(row["provider"]) or str(row["provider"])
        body = json.dumps(document).encode()
        told = extract_usage(provider, endpoint=row["endpoint"], status=200, headers={}, body=body, stream=False)
        if told is None or told.source == "missing" or "images" in row["endpoint"]:
            continue
        assert usage_of(provider, document) == told, row["url"]
        kind = OBJECTS.get(str(document.get("object")))
        if kind is not None:
            assert usage_of(provider, kind.construct(**document)) == told, row["url"]
        seen[kind.__name__ if kind else "document"] += 1
    assert seen.keys() == {"ChatCompletion", "Response", "CreateEmbeddingResponse", "document"}
    assert min(seen.values()) >= 20
    assert sum(seen.values()) > 450
