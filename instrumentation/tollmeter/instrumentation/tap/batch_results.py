"""Results of batches: each line becomes one `llm_call` of tier batch.

Ids of their events are made of the provider's ids, so that fetching again lands nothing new; within a process a second
fetch is not even written. A batch tells no latency: it is 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.instrumentation.tap.exchange import FIRST_ERROR
from tollmeter.instrumentation.tap.reading_results import Reader, note_end, time_of
from tollmeter.instrumentation.tap.scanning import Lines
from tollmeter.instrumentation.tap.wires import WIRE_ANTHROPIC, WIRE_GEMINI, WIRE_OPENAI, WIRES
from tollmeter.model import names
from tollmeter.pricing.shapes.fields import decoded, encoded, mapping, mappings

if TYPE_CHECKING:
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.instrumentation.tap.scanning import Scanner
    from tollmeter.instrumentation.tap.text_meter import TextMeter

_ENDS: Final = ("ended_at", "completed_at", "expired_at", "cancelled_at", "failed_at")
_MODERATION: Final = b'"modr-'
_OPERATIONS: Final = {
    "chat.completion": names.OPERATION_CHAT,
    "response": names.OPERATION_CHAT,
    "text_completion": names.OPERATION_TEXT_COMPLETION,
    "list": names.OPERATION_EMBEDDINGS,
}


class _LineReader(Reader, ABC):
    """Results of a JSON document a line; a file whose first line is of another kind is left alone."""

    done = False
    error = ""
    meter: TextMeter | None = None

    def __init__(self, recorder: Recorder, provider: str, source: str) -> None:
        super().__init__(recorder, provider, source)
        self._lines = Lines()
        self._count = 0
        self._is_foreign = False

    def scanner(self, kind: bytes) -> Scanner | None:
        """Itself, whatever the content type says."""
        del kind
        return self

    def feed(self, chunk: bytes) -> None:
        """Scan one chunk of the body, cut anywhere."""
        if not self._is_foreign:
            self._read_lines(self._lines.feed(chunk))

    def finish(self) -> None:
        """The last line may have no end."""
        self._read_lines(self._lines.rest())

    @abstractmethod
    def read_line(self, line: bytes, number: int) -> bool:
        """Read one line; False where it is no result."""

    def _read_lines(self, whole: bytes) -> None:
        for line in whole.splitlines():
            if self._is_foreign or not line.strip():
                continue
            self._count += 1
            is_result = self.read_line(line, self._count)
            self._is_foreign = not is_result and self._count == 1


class _Response(msgspec.Struct):
    status_code: Any = None
    request_id: Any = None
    body: msgspec.Raw = msgspec.Raw(b"")


class _Line(msgspec.Struct):
    id: Any = None
    custom_id: Any = None
    response: _Response | None = None
    error: Any = None


class _Answer(msgspec.Struct):
    object: Any = None
    created: Any = None
    created_at: Any = None


_line: Final = msgspec.json.Decoder(_Line)
_answer: Final = msgspec.json.Decoder(_Answer)


class OpenAIBatch(_LineReader):
    """Output and error files of batches, of OpenAI, Azure, Groq, Mistral and others who speak its protocol."""

    def read_line(self, line: bytes, number: int) -> bool:
        """Read one line; other files, such as a batch's input, hold lines of another kind."""
        del number
        try:
            told = _line.decode(line)
        except msgspec.MsgspecError:
            return False
        if not isinstance(told.custom_id, str) or (told.response is None and told.error is None):
            return False
        self._record(told, told.response or _Response())
        return True

    def _record(self, told: _Line, response: _Response) -> None:
        body = bytes(response.body)
        answer = _decoded_answer(body)
        if body and answer.object is None and _MODERATION in body[:64]:
            return  # free, and no model call
        operation = _OPERATIONS.get(str(answer.object), names.OPERATION_CHAT)
        call = self.begin(str(told.id or told.custom_id), _moment(answer), operation)
        if call is None:
            return
        call.said = body
        error = WIRES[WIRE_OPENAI].read_answer(call, body) if body else ""
        status = response.status_code
        if isinstance(status, int) and 0 <= status < 1000:  # noqa: PLR2004  of HTTP
            call.facts["http_status"] = status
            error = error or (str(status) if status >= FIRST_ERROR else "")
        if isinstance(response.request_id, str):
            call.facts["provider_request_id"] = response.request_id[:256]
        self.end(call, error or _code_of(told.error))


class AnthropicBatch(_LineReader):
    """Results of a message batch; their lines tell no time, so that the batch's own is taken where it was seen."""

    def read_line(self, line: bytes, number: int) -> bool:
        """Read one line."""
        del number
        told = decoded(line)
        result = mapping(told, "result") if isinstance(told, dict) else {}
        if not result:
            return False
        call = self.begin(str(told.get("custom_id")), None)
        if call is not None:
            kind = str(result.get("type"))
            is_good = kind == "succeeded"
            if is_good:
                WIRES[WIRE_ANTHROPIC].read_answer(call, encoded(result))
                call.facts["provider_request_id"] = str(mapping(result, "message").get("id", ""))[:256]
            error = mapping(mapping(result, "error"), "error") or mapping(result, "error")
            self.end(call, "" if is_good else str(error.get("type") or kind))
        return True


class GeminiBatchFile(_LineReader):
    """The result file of a batch at Gemini."""

    def read_line(self, line: bytes, number: int) -> bool:
        """Read one line."""
        told = decoded(line)
        if not isinstance(told, dict) or not (mapping(told, "response") or mapping(told, "error")):
            return False
        _record_gemini(self, told, f"{number}/{told.get('key', '')}", None)
        return True


class GeminiBatch(Reader):
    """A batch at Gemini with its answers inline."""

    def read(self, document: bytes) -> None:
        """Read the batch, once it is done; one whose results are in a file tells when it ended."""
        told = decoded(document)
        if not isinstance(told, dict):
            return
        ended = time_of(mapping(told, "metadata").get("endTime"))
        answers = mapping(told, "response")
        file = answers.get("responsesFile")
        if isinstance(file, str) and ended:
            note_end(file, ended)
        for each in mappings(mapping(answers, "inlinedResponses"), "inlinedResponses"):
            self.count = getattr(self, "count", 0) + 1
            _record_gemini(self, each, str(self.count), ended)


class BatchTimes(Reader):
    """The state of a batch: no call, but it tells when the batch ended, which the results do not."""

    def read(self, document: bytes) -> None:
        """Note the time under the ids of the batch and of its files."""
        told = decoded(document)
        if not isinstance(told, dict):
            return
        ended = time_of(next((told[name] for name in _ENDS if told.get(name)), None))
        for name in ("id", "output_file_id", "error_file_id"):
            key = told.get(name)
            if isinstance(key, str) and ended:
                note_end(key, ended)


def _record_gemini(reader: Reader, told: Any, source_id: str, at: datetime | None) -> None:
    response = mapping(told, "response")
    is_vector = "embedding" in response or "embeddings" in response
    call = reader.begin(source_id, at, names.OPERATION_EMBEDDINGS if is_vector else names.OPERATION_CHAT)
    if call is None:
        return
    error = WIRES[WIRE_GEMINI].read_answer(call, encoded(response)) if response else ""
    reader.end(call, error or _code_of(told.get("error")))


def _code_of(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("code") or error.get("status") or error.get("type") or "error")
    return str(error) if error else ""


def _decoded_answer(body: bytes) -> _Answer:
    try:
        return _answer.decode(body)
    except msgspec.MsgspecError:
        return _Answer()


def _moment(answer: _Answer) -> datetime | None:
    return time_of(answer.created) or time_of(answer.created_at)
