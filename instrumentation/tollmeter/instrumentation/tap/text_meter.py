"""Counts the tokens of a stream's text as it passes, for streams that end without saying what they used."""

from __future__ import annotations

import re
from typing import Final

from tollmeter.pricing.estimate import BOUNDARY, TOOL_CALL_TOKENS, count_pieces
from tollmeter.pricing.shapes.fields import decoded

_FIELDS: Final = (
    b"content", b"text", b"reasoning_content", b"reasoning", b"refusal", b"arguments", b"thinking", b"partial_json"
)  # fmt: skip
_NAME: Final = b"name"  # of a tool that is called
_STRING: Final = rb'": ?"([^"\\]*(?:\\.[^"\\]*)*)"'
_ANY: Final = re.compile(b'"(' + b"|".join((*_FIELDS, _NAME)) + b")" + _STRING)
_ONE: Final = {field: re.compile(b'"' + field + _STRING) for field in (*_FIELDS, b"delta")}
_DATA: Final = b"data:"
_RESPONSES: Final = b'"response.'
_CALL_ADDED: Final = re.compile(rb'"response\.output_item\.added".*?"function_call"')


_HELD: Final = 128 << 10


class TextMeter:
    """Counts each delta as the pieces of its text.

    Lines wait, 128 KiB of them at most, until they are too many or the count is asked for: most streams tell their
    usage in the end, and then no one asks. Where every event of some lines has the field that the one before had, only
    that is looked for, in half the time.
    """

    __slots__ = ("_counted", "_is_responses", "_likely", "_size", "_waiting")

    def __init__(self) -> None:
        self._counted = 0
        self._likely = _ONE[b"content"]
        self._is_responses = False
        self._waiting: list[bytes] = []
        self._size = 0

    @property
    def tokens(self) -> int:
        """The count of all that has passed."""
        self._count_waiting()
        return self._counted

    def feed(self, lines: bytes) -> None:
        """Take whole lines of a stream."""
        self._waiting.append(lines)
        self._size += len(lines)
        if self._size > _HELD:
            self._count_waiting()

    def _count_waiting(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting:
            self._count(b"".join(waiting))

    def _count(self, lines: bytes) -> None:
        texts = self._likely.findall(lines)
        if len(texts) < lines.count(_DATA):
            texts = self._search(lines)
        text = BOUNDARY.join(texts)
        if b"\\" in text:
            text = _plain(text)
        self._counted += count_pieces(text)

    def _search(self, lines: bytes) -> list[bytes]:
        if self._is_responses or _RESPONSES in lines:
            # Its other events repeat the whole text when an item is done: only the deltas count.
            self._is_responses = True
            self._likely = _ONE[b"delta"]
            self._counted += TOOL_CALL_TOKENS * len(_CALL_ADDED.findall(lines))
            return self._likely.findall(lines)
        found = _ANY.findall(lines)
        for name, _ in found:
            if name == _NAME:
                self._counted += TOOL_CALL_TOKENS
            else:
                self._likely = _ONE[name]
        return [text for _, text in found]


def _plain(text: bytes) -> bytes:
    value = decoded(b'"' + text + b'"')
    return value.encode("utf-8", "replace") if isinstance(value, str) else text
