"""Takes the event out of a stream that is there only because Tollmeter asked for it; all else passes byte for byte."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.tap.encodings import Decode, decoder_of

_ENDS: Final = (b"\r\n\r\n", b"\n\n", b"\r\r")
_END: Final = re.compile(b"|".join(_ENDS))
_DATA: Final = b"data:"
_MARKS: Final = (b'"choices":[]', b'"choices": []')
_MAX_HELD: Final = 1 << 20
_SSE: Final = "text/event-stream"


class _Event(msgspec.Struct):
    choices: list[Any]
    usage: dict[str, Any]


_event: Final = msgspec.json.Decoder(_Event)


class UsageHider:
    """Gets the chunks of an event stream, cut anywhere; returns what the caller would have got without the question.

    An event is handed on once it is whole, which is when a reader of events sees it anyway. Held: one unfinished event
    of at most 1 MiB; a longer one passes as it is. Servers that were asked also put `"usage": null` into their other
    events; that stays.
    """

    def __init__(self, decode: Decode | None = None) -> None:
        self._held = b""
        self._decode = decode

    def feed(self, chunk: bytes) -> bytes:
        """What of the stream is to be handed on now; may be empty."""
        if self._decode is not None:
            chunk = self._decode(chunk)
        data = self._held + chunk if self._held else chunk
        if data.endswith(b"\n\n"):
            end = len(data)
        else:
            end = max((at + len(mark) for mark in _ENDS if (at := data.rfind(mark)) >= 0), default=0)
        if not end and len(data) > _MAX_HELD:
            losses.add("stream_event_over_1MiB")
            end = len(data)
        self._held = data[end:]
        return _without_usage(data[:end])

    def flush(self) -> bytes:
        """What was held back, once the stream is over."""
        rest, self._held = self._held, b""
        return _without_usage(rest)


def _without_usage(events: bytes) -> bytes:
    if not any(mark in events for mark in _MARKS):
        return events
    kept, start = [], 0
    for end in (*(found.end() for found in _END.finditer(events)), len(events)):
        if not _is_answer(events[start:end]):
            kept.append(events[start:end])
        start = end
    return b"".join(kept)


def _is_answer(event: bytes) -> bool:
    data = next((line[5:] for line in event.splitlines() if line.startswith(_DATA)), b"")
    try:
        return bool(data) and not _event.decode(data).choices
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def hider_of(content_type: str, encoding: str) -> UsageHider | None:
    """What hides the event in an answer; None where it is no stream of events, or in an encoding no one can undo.

    The latter keeps the event, and is counted.
    """
    if _SSE not in content_type:
        return None
    try:
        return UsageHider(decoder_of(encoding.encode("latin-1", "replace")))
    except LookupError:
        losses.add("usage_event_not_hidden")
        return None
