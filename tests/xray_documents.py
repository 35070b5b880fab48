"""Judges X-Ray documents: by AWS's schema, and by the limits that its pages name in prose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema

from tollmeter.exporters.derive.segment_packing import Document

SCHEMA = Path("schemas") / "xray" / "xray-segmentdocument-schema-v1.0.0.json"
HEX = re.compile("[0-9a-f]{16}")
FREE = {"name", "type", "trace_id"}  # of lengths of their own


class Judge:
    """Raises where a document breaks a rule."""

    def __init__(self, shared: Path) -> None:
        # AWS's file is draft 4; a subsegment that is sent apart is a document of the same schema.
        self._schema = jsonschema.Draft4Validator(json.loads((shared.parent / shared.name / SCHEMA).read_text()))

    def check(self, documents: Iterable[Document]) -> list[dict[str, Any]]:
        """The documents of one trace, parsed."""
        found = [self._one(document) for document in documents]
        nodes = [node for document in found for node in walk(document)]
        ids = [node["id"] for node in nodes]
        assert len(ids) == len(set(ids)), "ids are unique in a trace"
        assert sum(len(node.get("annotations", {})) for node in nodes) <= 50, "50 annotations are indexed"
        return found

    def _one(self, document: Document) -> dict[str, Any]:
        assert len(document.text.encode()) <= 64_000
        parsed: dict[str, Any] = json.loads(document.text, parse_float=Decimal, parse_constant=_refuse)
        self._schema.validate(json.loads(document.text))
        assert parsed["id"] == document.segment_id
        assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", parsed["trace_id"])
        if parsed.get("type"):
            assert parsed["type"] == "subsegment"
            assert HEX.fullmatch(parsed["parent_id"])
        for node in walk(parsed):
            _check_node(node)
        return parsed


def walk(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A segment and all that is inside it."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.get("subsegments", ())


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _check_node(node: dict[str, Any]) -> None:
    assert HEX.fullmatch(node["id"])
    assert node["id"].strip("0")
    assert node["start_time"] <= node["end_time"]
    assert 1 <= len(node["name"]) <= 200
    assert all(char.isalnum() or char.isspace() or char in "_.:/%&#=+-@" or ord(char) > 127 for char in node["name"])
    assert node.get("namespace") in (None, "aws", "remote")
    assert not node.get("throttle") or node.get("error")
    for key, value in node.get("annotations", {}).items():
        assert re.fullmatch("[A-Za-z0-9_]{1,500}", key)
        assert isinstance(value, str | int | Decimal | bool)
        assert not isinstance(value, str) or len(value) <= 1000
    for name, block in node.items():
        if name not in FREE | {"annotations", "metadata", "subsegments"}:
            assert all(len(text) <= 250 for text in _texts(block))
    assert all(text == text.encode().decode() and "\x00" not in text for text in _texts(node))
    assert not any(key.lower().startswith("aws.") for block in node.get("metadata", {}).values() for key in block)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
