"""Tokens estimated from text, for the calls whose provider counted none.

Text is cut into the pieces that OpenAI's tokenisers start from: a word with the space before it, three digits, a run of
signs. A word of more than nine letters is several pieces, so is a run of other scripts. `docs/pricing.md` shows how far
this is off on answers that do carry counts; its constants were fitted on the other half of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollmeter.pricing.shapes.fields import decoded, encoded, mapping, mappings

METHOD: Final = "pieces"
TOOL_CALL_TOKENS: Final = 7
"""What a tool call takes beside its name and arguments."""

BOUNDARY: Final = b"\x7f"
"""Stands between texts that are counted together; no piece reaches over it, and it is none."""
_PIECE: Final = re.compile(rb" ?[A-Za-z]{1,9}|\d{1,3}| ?[\x80-\xff]{1,3}| ?[^\sA-Za-z0-9\x7f-\xff]{1,4}|\s+")
_WORD: Final = re.compile(rb"[A-Za-z]{1,8}|\d{1,3}|[\x80-\xff]{1,3}")
_MESSAGE_TOKENS: Final = 3
_PRIMING_TOKENS: Final = 4
_TOOLS_TOKENS: Final = 12
_TEXT: Final = frozenset(
    {
        "content", "text", "arguments", "output", "input", "refusal", "name", "function", "tool_calls",
        "function_call", "reasoning_content", "reasoning", "summary",
    }
)  # fmt: skip
_MEDIA: Final = frozenset({"image_url", "input_audio", "file", "file_id", "file_data", "audio"})
_TOOLS: Final = ("tools", "functions")
_FORMATS: Final = ("response_format", "text")
_ELSEWHERE: Final = ("previous_response_id", "conversation")
_OWN_TOOLS: Final = ("function", "custom", None)
_HIDDEN_REASONING: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5)")
_MAX_DEPTH: Final = 32


class Prompt(NamedTuple):
    """Input tokens estimated from a request, and what of the call cannot be seen in its text."""

    tokens: int
    unseen: tuple[str, ...]


def count_pieces(text: bytes) -> int:
    """About how many tokens some UTF-8 text is; at least one, unless it is empty.

    >>> count_pieces(b"Which ocean contains Bouvet Island?")
    6
    """
    return len(_PIECE.findall(text))


def estimate_prompt(request: bytes) -> Prompt | None:
    """The input of a chat, completion or responses request, or None where it is none.

    Pictures, sound and files are not counted, nor what the provider keeps of earlier turns, nor its tools: `unseen`
    names them. So it names the reasoning of models that think unseen, which no count of the answer's text includes.
    """
    document = decoded(request)
    if not isinstance(document, dict):
        return None
    reader = _Reader()
    turns = mappings(document, "messages") or mappings(document, "input")
    for turn in turns:
        reader.read(turn, 0)
    for name in ("input", "instructions", "prompt"):
        if not (turns and name == "input"):
            reader.read(document.get(name), 0)
    if not reader.tokens and not reader.has_media:
        return None
    tokens = reader.tokens + _schema_tokens(document)
    if "prompt" not in document:
        tokens += _MESSAGE_TOKENS * max(1, len(turns)) + _PRIMING_TOKENS
    return Prompt(tokens, _unseen(document, has_media=reader.has_media))


def estimate_answer(answer: Mapping[str, Any]) -> int | None:
    """The output of a whole JSON answer, or None where it holds no text of a known shape."""
    reader = _Reader()
    found = [mapping(choice, "message") or {"text": choice.get("text")} for choice in mappings(answer, "choices")]
    for item in (*found, *mappings(answer, "output")):
        reader.read({name: value for name, value in item.items() if name != "name"}, 0)
    return reader.tokens or None


class _Reader:
    """Walks foreign JSON for its text."""

    def __init__(self) -> None:
        self.tokens = 0
        self.has_media = False

    def read(self, value: Any, depth: int) -> None:
        if isinstance(value, str):
            self.tokens += count_pieces(value.encode("utf-8", "replace"))
        elif isinstance(value, list) and depth < _MAX_DEPTH:
            self._read_list(value, depth)
        elif isinstance(value, dict) and depth < _MAX_DEPTH:
            self._read_object(value, depth)

    def _read_list(self, values: list[Any], depth: int) -> None:
        if values and isinstance(values[0], int):
            self.tokens += len(values)  # a prompt that was tokenised already
            return
        for value in values:
            self.read(value, depth + 1)

    def _read_object(self, fields: dict[str, Any], depth: int) -> None:
        for name, value in fields.items():
            if name in _TEXT:
                self.read(value, depth + 1)
            elif name in _MEDIA and value:
                self.has_media = True
        if "arguments" in fields:
            self.tokens += TOOL_CALL_TOKENS


def _schema_tokens(document: dict[str, Any]) -> int:
    tools = b"".join(encoded(value) for name in _TOOLS if (value := document.get(name)))
    formats = b"".join(encoded(document.get(name)) for name in _FORMATS)
    tokens = len(_WORD.findall(tools)) + _TOOLS_TOKENS if tools else 0
    return tokens + len(_WORD.findall(formats)) if b'"schema"' in formats else tokens


def _unseen(document: dict[str, Any], *, has_media: bool) -> tuple[str, ...]:
    thinks = _HIDDEN_REASONING.search(str(document.get("model", ""))) or document.get("reasoning_effort")
    return tuple(
        what
        for what, is_unseen in (
            ("media", has_media),
            ("history", any(document.get(name) for name in _ELSEWHERE)),
            ("reasoning", thinks),
            ("hosted_tools", any(tool.get("type") not in _OWN_TOOLS for tool in mappings(document, "tools"))),
        )
        if is_unseen
    )
