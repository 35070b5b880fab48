"""OpenAI's wire format: what JSON answers and event streams say of a call.

Only the fields that are read are decoded; completions and vectors are skipped, never held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.instrumentation.calls import Call
from tollmeter.instrumentation.tap.scanning import EventScanner
from tollmeter.instrumentation.tap.text_meter import TextMeter
from tollmeter.model.names import OPERATION_IMAGE
from tollmeter.pricing.shapes import openai as shape

_DONE: Final = b"[DONE]"
_USAGE: Final = (b'"usage":{', b'"usage": {')
_FINISH: Final = (b'"finish_reason":"', b'"finish_reason": "')
_TERMINAL: Final = (
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
    b'"image_generation.completed"',
    b'"image_edit.completed"',
    b'"transcript.text.done"',
    b'"speech.audio.done"',
)
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


class _Answer(msgspec.Struct):
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
    response: _Answer | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


def read_answer(call: Call, body: bytes) -> str:
    """Take over what a JSON answer says; returns the error it carries, or an empty string."""
    try:
        answer = _answer.decode(body)
    except msgspec.MsgspecError:
        return ""
    return _take(call, answer.response or answer)


def read_document(call: Call, document: Mapping[str, Any]) -> str:
    """Take over what a parsed answer or event says; returns the error it carries, or an empty string."""
    try:
        answer = msgspec.convert(document, _Answer)
    except msgspec.ValidationError:
        return ""
    return _take(call, answer.response or answer)


class OpenAIScanner(EventScanner):
    """Keeps the newest events with usage and with a finish reason."""

    __slots__ = ("_finish", "_started", "_usage")

    # Every usage object names some `…_tokens`, every terminal event of the Responses API holds usage or an error.
    marks = (b'_tokens"',)
    last_marks = (b'reason":"', b'reason": "', b'"error"')

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.meter = TextMeter() if call.recorder.settings.estimate_usage else None
        self._started = False
        self._usage = b""
        self._finish = b""

    def read(self, data: bytes) -> None:
        """Read one event."""
        if not self._started or not self.call.first_token:
            self._read_start(data)
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
            self.error = read_answer(self.call, data) or "error"

    def conclude(self) -> None:
        """Take over what the kept events say."""
        self.call.said = self._usage
        for line in (self._finish, self._usage):
            if line:
                read_answer(self.call, line)

    def _read_start(self, data: bytes) -> None:
        try:
            event = _answer.decode(data)
        except msgspec.MsgspecError:
            return
        if not self._started:
            self._started = True
            _take(self.call, event.response or event)
        if _has_token(event):
            self.call.saw_token()


def _has_token(event: _Answer) -> bool:
    kind = event.type or event.object
    if isinstance(kind, str) and kind.endswith((".delta", ".partial_image")):
        return True
    return any(choice.text or (choice.delta and _speaks(choice.delta)) for choice in event.choices or ())


def _speaks(delta: _Delta) -> bool:
    thought = delta.reasoning_content or delta.reasoning
    return bool(delta.content or thought or delta.refusal or delta.tool_calls or delta.function_call)


def _take(call: Call, answer: _Answer) -> str:
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
    document = {"usage": answer.usage, "output": answer.output, "x_groq": answer.x_groq}
    if not answer.usage:
        document["choices"] = [{"usage": choice.usage} for choice in choices if choice.usage]
    found = shape.usage_of(document)
    if found and facts["operation"] == OPERATION_IMAGE:
        found = shape.of_image(found)
    call.usage = found or call.usage
    return _error_of(answer.error) if answer.error else ""


def _error_of(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "error")[:256]
    return str(error)[:256] if error else ""
