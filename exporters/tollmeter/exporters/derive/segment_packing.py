"""Subsegments into documents of at most 64 kB: what does not fit inside its parent is sent apart, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

MAX_DOCUMENT: Final = 64_000
"""Bytes of a document: 64 kB, taken at its smaller meaning."""

MAX_DEPTH: Final = 24
"""Subsegments inside each other in one document; readers of JSON have limits, X-Ray names none."""

_LINKS: Final = 160  # what a subsegment that is sent apart says besides: type, trace_id, parent_id
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Document(NamedTuple):
    """One document of `PutTraceSegments`: the id of its segment or subsegment, its JSON, the events it tells of."""

    segment_id: str
    text: str
    lines: int


@dataclass(slots=True)
class Node:
    """A segment or subsegment; `body` has its own fields, `parent_id` is where it wants to hang."""

    segment_id: str
    body: dict[str, Any]
    parent_id: str = ""
    lines: int = 0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    text: bytes = b""
    height: int = 0


def packed(root: Node, trace_id: str) -> list[Document]:
    """The documents of a tree, the root's first; its body says itself what it is."""
    apart = [document for node in reversed(_parents_first(root)) for document in _close(node, trace_id)]
    return [Document(root.segment_id, root.text.decode(), root.lines), *apart]


def _parents_first(root: Node) -> list[Node]:
    order = [root]
    for node in order:
        order += node.children
    return order


def _close(node: Node, trace_id: str) -> Iterator[Document]:
    """Write a node with as many of its children inside as there is room for, the smallest first."""
    own = _own_text(node)
    room, kept = MAX_DOCUMENT - _LINKS - len(own) - len(',"subsegments":[]'), set()
    for child in sorted(node.children, key=lambda child: len(child.text)):
        if child.height < MAX_DEPTH and len(child.text) < room:
            room -= len(child.text) + 1
            kept.add(child.segment_id)
        else:
            yield _apart(child, node, trace_id)
    inside = [child for child in node.children if child.segment_id in kept]
    node.text = own[:-1] + b',"subsegments":[' + b",".join(child.text for child in inside) + b"]}" if inside else own
    node.lines += sum(child.lines for child in inside)
    node.height = 1 + max((child.height for child in inside), default=0)
    node.children = []


def _own_text(node: Node) -> bytes:
    text = _encoder.encode(node.body)
    if len(text) + _LINKS <= MAX_DOCUMENT:
        return text
    left_out = f"metadata left out: the document would have {len(text):,} bytes"
    return _encoder.encode(node.body | {"metadata": {"tollmeter": {"left_out": left_out}}})


def _apart(child: Node, parent: Node, trace_id: str) -> Document:
    links = {"type": "subsegment", "trace_id": trace_id, "parent_id": parent.segment_id}
    text = _encoder.encode(links)[:-1] + b"," + child.text[1:]
    return Document(child.segment_id, text.decode(), child.lines)
