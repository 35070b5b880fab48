"""Which calls' content is kept, and how it becomes the text of a column."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.instrumentation.content.heard import Heard
from tollmeter.instrumentation.content.messages import Message, Part, input_messages
from tollmeter.instrumentation.content.redactors import DEFAULT, Pipeline, RedactionError
from tollmeter.instrumentation.guard import losses
from tollmeter.model.events import MAX_CONTENT
from tollmeter.pricing.shapes.fields import decoded

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.model.settings import Settings

LOSS_CONTENT: Final = "content_dropped"
MARGIN: Final = 256
"""How much is read past a cut: nothing a redactor looks for is longer, so that half of it is never left over."""

_MAX_DEPTH: Final = 8
_SHORTEST: Final = 16
_LONG_NUMBER: Final = 7
_BITS: Final = 64
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_TEXTS: Final = ("content", "arguments", "response", "name", "id")


class Capture:
    """What the settings ask for.

    Raises:
        SettingError: a redactor is not known.
    """

    def __init__(self, settings: Settings) -> None:
        self.input = settings.capture_content in ("input", "all")
        self.output = settings.capture_content in ("output", "all")
        self.max_bytes = min(settings.capture_max_bytes, MAX_CONTENT)
        self.redact = Pipeline(settings.redactors or DEFAULT)
        self._bound = round(settings.capture_ratio * 2**_BITS)

    def begin(self, call: Call, asked: Any) -> Content | None:
        """For a call that is drawn; the calls of one trace are drawn together."""
        trace_id = call.parent[0]
        drawn = int(trace_id[-16:], 16) if trace_id else random.getrandbits(_BITS)
        return Content(self, asked) if drawn < self._bound else None


class Content:
    """The content of one call, until it is written."""

    __slots__ = ("_capture", "asked", "heard")

    def __init__(self, capture: Capture, asked: Any) -> None:
        self._capture = capture
        self.asked = asked
        self.heard = Heard(capture.max_bytes + MARGIN) if capture.output else None

    def columns(self, finish_reason: str) -> dict[str, str]:
        """The columns, redacted; without what a redactor failed on or cannot be read, which is counted."""
        columns: dict[str, str] = {}
        if self._capture.input:
            asked = decoded(self.asked) if isinstance(self.asked, bytes) else self.asked
            columns["input_content"] = self._written(input_messages(asked))
        if self.heard is not None:
            columns["output_content"] = self._written(reversed(self.heard.finish(finish_reason)))
        return columns

    def _written(self, newest_first: Iterable[Message]) -> str:
        try:
            return _written(newest_first, self._capture)
        except RedactionError:
            pass  # counted by the redactor's name
        except Exception as error:  # noqa: BLE001  the event is worth more; the error's text may hold the content
            losses.fault(LOSS_CONTENT, error)
        losses.add(LOSS_CONTENT)
        return ""


def _written(newest_first: Iterable[Message], capture: Capture) -> str:
    """As many messages as there is room for, the newest first kept, in their order; the last of them may be cut."""
    room, kept = capture.max_bytes - len("[]"), list[bytes]()
    for message in newest_first:
        if room < _SHORTEST:
            break
        redacted = _redacted(message, capture)
        fitting = next(_shorter(redacted, room), None)
        if fitting is None:
            break
        kept.append(fitting)
        room -= len(fitting) + 1
    return (b"[" + b",".join(reversed(kept)) + b"]").decode() if kept else ""


def _shorter(message: Message, room: int) -> Iterator[bytes]:
    """The message if there is room for it, else with shorter and shorter texts until there is."""
    limit = room
    while limit >= _SHORTEST:
        encoded = msgspec.json.encode(message)
        if len(encoded) <= room:
            yield encoded
        limit //= 2
        message = message | {"parts": [_cut_part(part, limit) for part in message["parts"]][:limit]}


def _cut_part(part: Part, limit: int) -> Part:
    for field in ("content", "arguments", "response"):
        value = part.get(field)
        text = value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
        if text is not None and len(text) > limit:
            part = part | {field: text[:limit], "cut": True}
    return part


def _redacted(message: Message, capture: Capture) -> Message:
    return message | {
        "role": capture.redact(message["role"]),
        "parts": [_redacted_part(part, capture) for part in message["parts"]],
    }


def _redacted_part(part: Part, capture: Capture) -> Part:
    found: Part = {"type": part["type"] if part["type"].isidentifier() else capture.redact(part["type"])}
    for field in _TEXTS:
        value: Any = part.get(field)
        if value is None or value == "":
            continue
        if field == "arguments" and isinstance(value, str):
            value = _arguments(value)
        if isinstance(value, str):
            was_cut = bool(part.get("cut")) or len(value) > capture.max_bytes + MARGIN
            redacted = capture.redact(value[: capture.max_bytes + MARGIN])
            found[field] = redacted[:-MARGIN] if was_cut else redacted
            if was_cut:
                found["cut"] = True
        else:
            found[field] = _walked(value, capture, 0)
    # The schema wants these, empty or not.
    wanted = {"text": "content", "reasoning": "content", "tool_call": "name", "tool_call_response": "response"}
    if part["type"] in wanted:
        found.setdefault(wanted[part["type"]], "")
    return found


def _arguments(text: str) -> Any:
    """Arguments are JSON in a text; where it was cut, escapes are made plain, or they would hide from redactors."""
    document = decoded(text.encode("utf-8", "replace"))
    return _ESCAPE.sub(_unescaped, text) if document is None else document


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _LETTERS.get(found[2], found[2])


def _walked(value: Any, capture: Capture, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, str):
        return _leaf(value, capture)
    if isinstance(value, list):
        return [_walked(item, capture, depth + 1) for item in value[: capture.max_bytes // 2]]
    if isinstance(value, dict):
        items = list(value.items())[: capture.max_bytes // 4]
        return {_leaf(str(key), capture): _walked(item, capture, depth + 1) for key, item in items}
    if isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) > _LONG_NUMBER:
        text = _leaf(str(value), capture)
        return value if text == str(value) else text
    return value if value is None or isinstance(value, bool | int | float) else _leaf(str(value), capture)


def _leaf(text: str, capture: Capture) -> str:
    limit = capture.max_bytes + MARGIN
    redacted = capture.redact(text[:limit])
    return redacted[:-MARGIN] if len(text) > limit else redacted
