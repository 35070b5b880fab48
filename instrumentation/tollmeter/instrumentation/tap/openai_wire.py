"""OpenAI's wire format: what a call says of itself, in requests, JSON answers and event streams.

Only the fields that are read are decoded; prompts, completions and vectors are skipped, never held.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollmeter.instrumentation.calls import Call
from tollmeter.model import names
from tollmeter.pricing.shapes import openai as shape

MAX_LINE: Final = 1 << 20
_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_USAGE: Final = (b'"usage":{', b'"usage": {')
_FINISH: Final = (b'"finish_reason":"', b'"finish_reason": "')
_TERMINAL: Final = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')
_ERROR: Final = b'{"error"'
_TAIL: Final = 16


class RequestBody(msgspec.Struct):
    """What a request says; every field may be missing or of a foreign type."""

    model: Any = None
    stream: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct):
    finish_reason: Any = None
    text: Any = None
    delta: _Delta | None = None


class _Answer(msgspec.Struct):
    id: Any = None
    type: Any = None
    model: Any = None
    service_tier: Any = None
    status: Any = None
    usage: Any = None
    error: Any = None
    choices: list[_Choice] | None = None
    response: _Answer | None = None


_request: Final = msgspec.json.Decoder(RequestBody)
_answer: Final = msgspec.json.Decoder(_Answer)


def read_request(body: bytes) -> RequestBody:
    """What the request says; an empty body where it is not understood."""
    try:
        return _request.decode(body)
    except msgspec.MsgspecError:
        return RequestBody()


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; returns the error it carries, or an empty string."""
    try:
        answer = _answer.decode(body)
    except msgspec.MsgspecError:
        return ""
    return _take(call, answer.response or answer)


class EventScanner:
    """Reads an event stream as it passes: every event until the first token, then only what carries usage.

    Held: one unfinished line and the newest events with usage and with a finish reason, each at most 1 MiB.
    """

    __slots__ = ("_call", "_finish", "_first", "_rest", "_usage", "done", "error", "overlong")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = b""
        self._first = False
        self._usage = b""
        self._finish = b""
        self.done = False
        self.overlong = False
        self.error = ""

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._hold(chunk)
            return
        whole = self._rest + chunk[:end] if self._rest else chunk[:end]
        self._rest = chunk[end:]
        if self._call.first_token and not _is_worth_reading(whole):
            return
        for line in whole.split(b"\n"):
            if line.startswith(_DATA):
                self._scan(line[5:])

    def finish(self) -> None:
        """Take over what the kept events say."""
        if self._rest.startswith(_DATA):
            self._scan(self._rest[5:])
            self._rest = b""
        for line in (self._finish, self._usage):
            if line:
                read_answer(self._call, line)

    def _hold(self, chunk: bytes) -> None:
        if len(self._rest) + len(chunk) > MAX_LINE:
            self.overlong = True
            self._rest = b"overlong:"
        else:
            self._rest += chunk

    def _scan(self, data: bytes) -> None:
        if not self._first or not self._call.first_token:
            self._scan_start(data)
        if any(mark in data for mark in _USAGE):
            self._usage = data
        if any(mark in data for mark in _FINISH):
            self._finish = data
        if data.strip() == _DONE:
            self.done = True
        elif any(mark in data[:64] for mark in _TERMINAL):
            self.done = True
            self._usage = data
        elif data.lstrip().startswith(_ERROR):
            self.error = read_answer(self._call, data) or "error"

    def _scan_start(self, data: bytes) -> None:
        try:
            event = _answer.decode(data)
        except msgspec.MsgspecError:
            return
        if not self._first:
            self._first = True
            _take(self._call, event.response or event)
        if _has_token(event):
            self._call.saw_token()


def _is_worth_reading(data: bytes) -> bool:
    # Four searches at 0.15 µs each: every usage object names some `…_tokens`, and every terminal event of the
    # Responses API carries usage or an error. An alternation in a regular expression costs twice as much.
    return (
        b'_tokens"' in data
        or b'reason":"' in data
        or b'reason": "' in data
        or b'"error"' in data
        or _DONE in data[-_TAIL:]
    )


def _has_token(event: _Answer) -> bool:
    if isinstance(event.type, str):
        return event.type.endswith(".delta")
    return any(choice.text or (choice.delta and _speaks(choice.delta)) for choice in event.choices or ())


def _speaks(delta: _Delta) -> bool:
    thought = delta.reasoning_content or delta.reasoning
    return bool(delta.content or thought or delta.refusal or delta.tool_calls or delta.function_call)


def _take(call: Call, answer: _Answer) -> str:
    facts = call.facts
    for field, value in (("response_model", answer.model), ("service_tier", answer.service_tier)):
        if isinstance(value, str) and value:
            facts[field] = value
    reasons = [c.finish_reason for c in answer.choices or () if isinstance(c.finish_reason, str)]
    if reasons:
        facts["finish_reason"] = reasons[0]
    elif isinstance(answer.status, str) and answer.usage is not None:
        facts["finish_reason"] = answer.status
    if isinstance(answer.usage, dict):
        found = shape.usage_of({"usage": answer.usage})
        if found is not None and found.source != names.USAGE_MISSING:
            call.usage = found
    return _error_of(answer.error)


def _error_of(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "error")[:256]
    return str(error)[:256] if error else ""
