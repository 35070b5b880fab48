"""OpenAI's wire format: what JSON answers and event streams say of a call.

Only the fields that are read are decoded; completions and vectors are skipped, never held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.tap.scanning import EventScanner, last_line, line_at
from tollmeter.instrumentation.tap.text_meter import TextMeter
from tollmeter.model.names import OPERATION_IMAGE
from tollmeter.pricing.shapes import openai as shape
from tollmeter.pricing.usage import Usage

_DONE: Final = b"[DONE]"
_USAGE: Final = b'"usage":{'
_USAGE_SPACED: Final = b'"usage": {'
_FINISH: Final = b'"finish_reason":"'
_FINISH_SPACED: Final = b'"finish_reason": "'
_TERMINAL: Final = re.compile(
    rb'"(?:response\.(?:completed|incomplete|failed)|image_generation\.completed|image_edit\.completed'
    rb'|transcript\.text\.done|speech\.audio\.done)"'
)
_TYPE_WITHIN: Final = 64
_REASON: Final = b'reason":'
_SAID: Final = re.compile(rb' ?"')
_RUN: Final = "thread.run"
_ERROR: Final = b'{"error"'


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct):
    finish_reason: Any = None
    usage: Any = None
    text: Any = None
    delta: _Delta | None = None


class _Loose(msgspec.Struct):
    id: Any = None
    object: Any = None
    background: Any = None
    type: Any = None
    model: Any = None
    service_tier: Any = None
    status: Any = None
    usage: Any = None
    error: Any = None
    output: Any = None
    x_groq: Any = None
    choices: list[_Choice] | None = None
    response: _Loose | None = None


class _Answer(_Loose):
    """As nearly all are: usage is read as it is decoded."""

    usage: shape.Fields | None = None
    response: _Answer | None = None  # pyright: ignore[reportIncompatibleVariableOverride]  a struct that is decoded into is only read


_answer: Final = msgspec.json.Decoder(_Answer)
_loose: Final = msgspec.json.Decoder(_Loose)


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; returns the error it carries, or an empty string."""
    answer = _decoded(body)
    return _take(call, answer.response or answer) if answer is not None else ""


def _decoded(body: bytes) -> _Loose | None:
    try:
        return _answer.decode(body)
    except msgspec.ValidationError:
        pass
    except msgspec.MsgspecError:
        return None
    try:
        return _loose.decode(body)
    except msgspec.MsgspecError:
        return None


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what a parsed answer or event says; returns the error it carries, or an empty string."""
    try:
        answer = msgspec.convert(document, _Loose)
    except msgspec.ValidationError:
        return ""
    return _take(call, answer.response or answer)


class OpenAIScanner(EventScanner):
    """Keeps the newest events with usage and with a finish reason."""

    __slots__ = ("_finish", "_started", "_usage")

    # Every usage object names some `…_tokens`, every terminal event of the Responses API holds usage or an error.
    # Without the quote that follows, which stands everywhere in JSON, it is found in two thirds of the time.
    marks = (b"_tokens",)

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.meter = TextMeter() if call.recorder.settings.estimate_usage else None
        self._started = False
        self._usage = b""
        self._finish = b""

    def read(self, data: bytes) -> None:
        """Read one event."""
        data = data.strip()
        if data == _DONE:
            self.done = True
            return
        if not self._started or not self.call.first_token:
            self._read_start(data)
        # `find`, not `in`, which for bytes raises and clears an exception inside.
        if data.find(_USAGE) >= 0 or data.find(_USAGE_SPACED) >= 0:
            self._usage = data
        if data.find(_FINISH) >= 0 or data.find(_FINISH_SPACED) >= 0:
            self._finish = data
        if _TERMINAL.search(data, 0, _TYPE_WITHIN):
            self.done = True
            self._usage = data
        elif data.startswith(_ERROR):
            self.error = read_answer(self.call, data) or "error"

    def last_lines(self, tail: bytes) -> list[bytes]:
        """The last, and the last with an error and with a reason; searched backwards, for they are near the end."""
        lines = [last_line(tail)]
        if (at := tail.rfind(_ERROR)) >= 0:
            lines.insert(0, line_at(tail, at))
        at = tail.rfind(_REASON)
        while at >= 0:
            if _SAID.match(tail, at + len(_REASON)) and (line := line_at(tail, at)) != lines[-1]:
                lines.insert(0, line)
                break
            at = tail.rfind(_REASON, 0, at)
        return lines

    def conclude(self) -> None:
        """Take over what the kept events say."""
        self.call.said = self._usage
        for line in (self._finish, self._usage):
            if line:
                read_answer(self.call, line)

    def _read_start(self, data: bytes) -> None:
        event = _decoded(data)
        if event is None:
            return
        if not self._started:
            self._started = True
            _take(self.call, event.response or event)
        if _has_token(event):
            self.call.saw_token()


def _has_token(event: _Loose) -> bool:
    kind = event.type or event.object
    if isinstance(kind, str) and kind.endswith((".delta", ".partial_image")):
        return True
    for choice in event.choices or ():  # noqa: SIM110  a generator costs a frame for every choice
        if choice.text or (choice.delta and _speaks(choice.delta)):
            return True
    return False


def _speaks(delta: _Delta) -> bool:
    thought = delta.reasoning_content or delta.reasoning
    return bool(delta.content or thought or delta.refusal or delta.tool_calls or delta.function_call)


def _take(call: Call, answer: _Loose) -> str:
    facts = call.facts
    model, tier, choices = answer.model, answer.service_tier, answer.choices or ()
    if model and isinstance(model, str):
        facts["response_model"] = model
    if tier and isinstance(tier, str):
        facts["service_tier"] = tier
    if (answer.background is True or answer.object == _RUN) and isinstance(answer.id, str):
        call.job_id = answer.id
    reason = answer.status if answer.usage is not None else None
    for choice in choices:
        if isinstance(choice.finish_reason, str):
            reason = choice.finish_reason
            break
    if isinstance(reason, str):
        facts["finish_reason"] = reason
    found = _usage_of(answer)
    if found is not None:
        call.usage = shape.of_image(found) if facts["operation"] == OPERATION_IMAGE else found
    return _error_of(answer.error) if answer.error else ""


def _usage_of(answer: _Loose) -> Usage | None:
    usage = answer.usage
    if type(usage) is shape.Fields:
        if (found := shape.of_fields(usage, answer.output)) is not None:
            return found
        usage = None
    choices = [{"usage": choice.usage} for choice in answer.choices or () if choice.usage]
    if not (usage or answer.x_groq or choices):
        return None
    return shape.usage_of({"usage": usage, "output": answer.output, "x_groq": answer.x_groq, "choices": choices})


def _error_of(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "error")[:256]
    return str(error)[:256] if error else ""
