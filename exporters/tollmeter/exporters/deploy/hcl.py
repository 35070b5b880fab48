"""Terraform's language, as far as a stack needs it, laid out as `terraform fmt` leaves it.

The rule of alignment is hclwrite's: of neighbouring lines that hold a whole `name = value` the equals signs stand in
one column; a value that goes on over several lines ends the group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_INDENT: Final = "  "


class Expression(str):
    """Text that stands as it is, such as `var.bucket`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value handed over as JSON text: `jsonencode(…)`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its kind, its labels, and its arguments, among which may be further blocks (by any key)."""

    kind: str
    labels: tuple[str, ...]
    arguments: dict[str, Any]


def document(comment: str, blocks: Iterable[Block]) -> str:
    """A file of blocks under a comment."""
    return "\n".join([f"# {comment}\n", *("\n".join(_block(block)) + "\n" for block in blocks)])


def _block(block: Block) -> Iterator[str]:
    head = " ".join([block.kind, *(json.dumps(label) for label in block.labels)])
    if not block.arguments:
        yield f"{head} {{}}"
        return
    yield f"{head} {{"
    plain = {name: value for name, value in block.arguments.items() if not isinstance(value, Block)}
    yield from _indented(_pairs(plain.items()))
    for number, inner in enumerate(each for each in block.arguments.values() if isinstance(each, Block)):
        if plain or number:
            yield ""
        yield from _indented(_block(inner))
    yield "}"


def _pairs(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    group: list[tuple[str, str]] = []
    for name, value in pairs:
        key = name if _NAME.fullmatch(name) else json.dumps(name)
        first, *rest = _value(value)
        if not rest:
            group.append((key, first))
            continue
        yield from _aligned(group)
        group = []
        yield f"{key} = {first}"
        yield from rest
    yield from _aligned(group)


def _aligned(group: list[tuple[str, str]]) -> Iterator[str]:
    width = max((len(key) for key, _ in group), default=0)
    return (f"{key:<{width}} = {value}" for key, value in group)


def _value(value: Any) -> list[str]:
    if isinstance(value, Expression):
        return [str(value)]
    if isinstance(value, Encoded):
        first, *rest = _value(value.value)
        return [f"jsonencode({first}", *rest[:-1], f"{rest[-1]})"] if rest else [f"jsonencode({first})"]
    if isinstance(value, dict):
        return ["{", *_indented(_pairs(value.items())), "}"] if value else ["{}"]
    if isinstance(value, list):
        return _list(value)
    # Numbers, truth and text are written as in JSON, but for the start of a directive.
    return [json.dumps(value, ensure_ascii=False).replace("%{", "%%{")]


def _list(values: list[Any]) -> list[str]:
    told = [_value(value) for value in values]
    if all(len(lines) == 1 for lines in told):
        return [f"[{', '.join(lines[0] for lines in told)}]"]
    return ["[", *_indented(line for lines in told for line in (*lines[:-1], f"{lines[-1]},")), "]"]


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"{_INDENT}{line}" if line else line for line in lines)
