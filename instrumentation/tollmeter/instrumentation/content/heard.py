"""The answer as it comes: whole, or put together from the events of a stream, up to a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollmeter.instrumentation.content.messages import Message, Part, parts_of, tool_call
from tollmeter.instrumentation.guard import guarded
from tollmeter.pricing.shapes.fields import decoded, mapping, mappings
from tollmeter.pricing.shapes.gemini import documents

_MAX_PARTS: Final = 128
_FLAT: Final = ("outputText", "generation", "completion", "response")
_REASONING: Final = ("reasoning_content", "reasoning", "thinking")
_EVENTS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
_ARGUMENTS: Final = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")


class Heard:
    """Messages by choice; what comes once `room` characters are used is passed over, and the last part marked `cut`."""

    def __init__(self, room: int) -> None:
        self.messages: dict[int, Message] = {}
        self.is_full = False
        self._room = room
        self._tools: dict[Any, Part] = {}

    @guarded(default=None)
    def feed(self, lines: bytes) -> None:
        """Take whole lines of a stream."""
        if self.is_full:
            return
        for line in lines.split(b"\n"):
            data = line.removeprefix(b"data:").strip()
            if data.startswith(b"{"):
                self._take(decoded(data))

    @guarded(default=None)
    def take_body(self, body: bytes) -> None:
        """Take a whole answer, or an array of events, as Gemini sends it."""
        for document in documents(body):
            self._take(document)

    @guarded(default=None)
    def take(self, document: Any) -> None:
        """Take one answer, or one event of a stream; what says nothing is passed over."""
        self._take(document)

    def _take(self, document: Any) -> None:
        if self.is_full or not isinstance(document, dict):
            return
        kind = document.get("type")
        if isinstance(kind, str) and kind.startswith("response."):
            self._take_response_event(kind, document)
            return
        choices = mappings(document, "choices")
        for number, choice in enumerate(choices):
            index = choice.get("index")
            self._take_choice(index if type(index) is int else number, choice)
        for number, candidate in enumerate(mappings(document, "candidates")):
            self._add(number, parts_of(dict(mapping(candidate, "content"))))
        if not choices:
            self._take_blocks(document)

    def _take_choice(self, index: int, choice: Mapping[str, Any]) -> None:
        said = mapping(choice, "delta", "message") or choice
        for name in _REASONING:
            self._say(index, "reasoning", said.get(name))
        for name in ("content", "text", "refusal"):
            value = said.get(name)
            if isinstance(value, list):
                self._add(index, parts_of(value))
            else:
                self._say(index, "text", value)
        for call in mappings(said, "tool_calls"):
            self._call((index, call.get("index", call.get("id"))), mapping(call, "function"), call)
        if call := mapping(said, "function_call"):
            self._call((index, ""), call, {})
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and index in self.messages:
            self.messages[index]["finish_reason"] = reason[:64]

    def _take_response_event(self, kind: str, document: Mapping[str, Any]) -> None:
        if kind in _EVENTS:
            self._say(0, _EVENTS[kind], document.get("delta"))
        elif kind in _ARGUMENTS:
            self._call((0, document.get("item_id")), {"arguments": document.get("delta")}, {})
        elif kind == "response.output_item.added":
            item = mapping(document, "item")
            if item.get("name"):
                self._call((0, item.get("id")), item, item)

    def _take_blocks(self, document: Mapping[str, Any]) -> None:
        """Anthropic's, Bedrock's, Cohere's and Ollama's answers and events, and the Responses API's answers."""
        event = mapping(document, "contentBlockDelta", "contentBlockStart") or document
        key = event.get("index", event.get("contentBlockIndex"))
        start, delta = mapping(event, "content_block", "start"), mapping(event, "delta")
        if use := mapping(start, "toolUse") or (start if start.get("name") else {}):
            self._call((0, key), use, start)
        elif start:
            self._add(0, parts_of(dict(start)))
        if delta:
            self._take_delta(key, delta)
        if event.get("event_type") == "stream-end":
            return
        said = mapping(mapping(document, "output"), "message") or mapping(document, "message") or document
        self._add(0, parts_of(said.get("content")))
        self._say(0, "reasoning", said.get("thinking"))
        for call in mappings(said, "tool_calls"):
            self._call((0, call.get("id")), mapping(call, "function") or call, call)
        for item in mappings(document, "output"):
            content = item.get("content") if item.get("type") == "message" else dict(item)
            self._add(0, parts_of(content))
        for item in (*mappings(document, "results", "generations", "outputs"), {} if start or delta else document):
            for name in ("text", *_FLAT):
                self._say(0, "text", item.get(name))

    def _take_delta(self, key: Any, delta: Mapping[str, Any]) -> None:
        use = mapping(delta, "toolUse")
        if use or "partial_json" in delta:
            self._call((0, key), {"arguments": use.get("input") or delta.get("partial_json")}, {})
        thought = mapping(delta, "reasoningContent").get("text") or delta.get("thinking")
        self._say(0, "reasoning", thought)
        self._say(0, "text", delta.get("text"))
        message = mapping(delta, "message")  # Cohere's
        self._say(0, "text", mapping(message, "content").get("text"))
        if call := mapping(message, "tool_calls"):
            self._call((0, key), mapping(call, "function"), call)

    def _say(self, index: int, kind: str, text: Any) -> None:
        if not isinstance(text, str) or not text or self.is_full:
            return
        parts = self._parts(index)
        if parts and parts[-1]["type"] == kind:
            self._append(parts[-1], "content", text)
        elif part := self._new(parts, {"type": kind, "content": ""}):
            self._append(part, "content", text)

    def _call(self, key: Any, call: Mapping[str, Any], block: Mapping[str, Any]) -> None:
        if self.is_full:
            return
        part = self._tools.get(str(key))
        if part is None:
            part = self._new(self._parts(0), tool_call({**call, "arguments": ""}, block) | {"arguments": ""})
            if part is None:
                return
            self._tools[str(key)] = part
        told = next((call[name] for name in ("arguments", "args", "input") if call.get(name)), "")
        if isinstance(told, str):
            self._append(part, "arguments", told)
        else:
            part["arguments"] = told

    def _add(self, index: int, parts: list[Part]) -> None:
        for part in parts:
            if part["type"] in ("text", "reasoning"):
                self._say(index, part["type"], part["content"])
            else:
                self._new(self._parts(index), part)

    def _parts(self, index: int) -> list[Part]:
        message = self.messages.get(index)
        if message is None:
            message = self.messages[index] = {"role": "assistant", "parts": [], "finish_reason": ""}
        found: list[Part] = message["parts"]
        return found

    def _new(self, parts: list[Part], part: Part) -> Part | None:
        if len(parts) + len(self.messages) >= _MAX_PARTS:
            self.is_full = True
            return None
        parts.append(part)
        return part

    def _append(self, part: Part, field: str, text: str) -> None:
        kept = text[: self._room]
        self._room -= len(kept)
        if not isinstance(part[field], list):
            part[field] = [part[field]]
        part[field].append(kept)
        if self._room <= 0:
            self.is_full = part["cut"] = True

    def finish(self, reason: str) -> list[Message]:
        """The messages heard, texts joined; `reason` is why the model stopped, where the choice did not say."""
        for message in self.messages.values():
            message["finish_reason"] = message["finish_reason"] or reason
            for part in message["parts"]:
                for field in ("content", "arguments"):
                    if isinstance(part.get(field), list) and part["type"] != "tool_call_response":
                        part[field] = "".join(part[field])
        return list(self.messages.values())
