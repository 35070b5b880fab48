"""What providers' documents say, as messages of OpenTelemetry's GenAI schema: roles and parts; no pictures, no sound.

https://github.com/open-telemetry/semantic-conventions-genai: gen-ai-input-messages.json, gen-ai-output-messages.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tollmeter.pricing.shapes.fields import mapping, mappings

Part = dict[str, Any]
Message = dict[str, Any]

_MAX_NAME: Final = 128
_CALLS: Final = ("tool_use", "function_call", "server_tool_use", "custom_tool_call")
_RESULTS: Final = ("tool_result", "function_call_output", "custom_tool_call_output")
_TEXTS: Final = ("text", "input_text", "output_text", "refusal", "thinking", "reasoning", "reasoningContent")
_SYSTEM: Final = ("system", "systemInstruction", "system_instruction", "instructions", "preamble")
_PROMPTS: Final = ("prompt", "inputText", "message", "query", "texts", "content")


def input_messages(asked: Any) -> Iterator[Message]:
    """The messages of a request, the newest first; of one that is not understood, none.

    >>> list(input_messages({"messages": [{"role": "user", "content": "hi"}]}))
    [{'role': 'user', 'parts': [{'type': 'text', 'content': 'hi'}]}]
    """
    if isinstance(asked, str):
        asked = {"prompt": asked}
    elif isinstance(asked, list):
        asked = {"messages": asked}
    if not isinstance(asked, Mapping):
        return
    for role, item in reversed([*_asked(asked)]):
        parts = _parts_of_item(item)
        if parts:
            yield {"role": role, "parts": parts}


def _asked(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (("system", document[name]) for name in _SYSTEM if document.get(name))
    for name in ("chat_history", "messages", "contents"):
        items = document.get(name)
        for item in items if isinstance(items, list) else ():
            yield _role_of(item), item
    for name in _PROMPTS:
        if document.get(name):
            yield "user", document[name]
    given = document.get("input")
    for item in given if isinstance(given, list) else [given] if given else ():
        yield _role_of(item), item


def _role_of(item: Any) -> str:
    role = item.get("role") if isinstance(item, dict) else None
    if isinstance(item, dict) and item.get("type") in _RESULTS:
        return "tool"
    return role.lower()[:_MAX_NAME] if isinstance(role, str) and role else "user"


def _parts_of_item(item: Any) -> list[Part]:
    if not isinstance(item, dict) or item.get("type") in (*_CALLS, *_RESULTS, "reasoning"):
        return parts_of(item)
    said = next((item[name] for name in ("content", "parts", "message") if item.get(name)), None)
    if item.get("role") == "tool" and "tool_call_id" in item:
        return [_result(item, said)]
    calls = [part for call in mappings(item, "tool_calls") for part in parts_of(call)]
    thought = item.get("reasoning_content")
    thoughts = [{"type": "reasoning", "content": thought}] if isinstance(thought, str) and thought else []
    if said is None and not calls:
        return thoughts + parts_of(item)
    return thoughts + parts_of(said) + calls


def parts_of(value: Any) -> list[Part]:
    """Text, a block, or a list of them, as parts."""
    if isinstance(value, str):
        return [{"type": "text", "content": value}] if value else []
    if isinstance(value, list):
        return [part for item in value if isinstance(item, str | dict) for part in parts_of(item)]
    return _parts_of_block(value) if isinstance(value, dict) else []


def _parts_of_block(block: dict[str, Any]) -> list[Part]:
    kind = block.get("type")
    if isinstance(block.get("parts"), list):
        return parts_of(block["parts"])
    call = mapping(block, "toolUse", "functionCall", "function_call", "function") or (block if kind in _CALLS else {})
    if call:
        return [tool_call(call, block)]
    result = mapping(block, "toolResult", "functionResponse") or (block if kind in _RESULTS else {})
    if result:
        said = next((result[name] for name in ("content", "output", "response") if name in result), "")
        return [_result(result, said)]
    if thought := _thought_in(block):
        return [{"type": "reasoning", "content": thought}]
    text = next((block[name] for name in ("text", "refusal") if isinstance(block.get(name), str)), "")
    if text:
        return [{"type": "text", "content": text}]
    # What is no text is named, and left out.
    named = kind if isinstance(kind, str) and kind else next(iter(block), "")
    return [{"type": str(named)[:_MAX_NAME]}] if named and named not in _TEXTS else []


def tool_call(call: Mapping[str, Any], block: Mapping[str, Any]) -> Part:
    """A tool call, its arguments as the provider wrote them."""
    arguments = next((call[name] for name in ("arguments", "args", "input") if call.get(name)), "")
    return {
        "type": "tool_call",
        "id": _text(call.get("call_id") or call.get("toolUseId") or call.get("id") or block.get("id")),
        "name": _text(call.get("name")),
        "arguments": arguments,
    }


def _result(result: Mapping[str, Any], said: Any) -> Part:
    names = ("tool_call_id", "tool_use_id", "toolUseId", "call_id", "id", "name")
    own_id = next((result[name] for name in names if result.get(name)), "")
    # Results may hold pictures: of a list only the parts are kept.
    response = parts_of(said) if isinstance(said, list) else said
    return {"type": "tool_call_response", "id": _text(own_id), "response": response}


def _thought_in(block: Mapping[str, Any]) -> str:
    if block.get("thought") and isinstance(block.get("text"), str):
        return str(block["text"])
    nested = mapping(mapping(block, "reasoningContent"), "reasoningText").get("text")
    told = block.get("thinking") or nested
    if isinstance(told, str):
        return told
    if block.get("type") != "reasoning":
        return ""
    return "\n".join(str(each.get("text", "")) for each in (*mappings(block, "summary"), *mappings(block, "content")))


def _text(value: Any) -> str:
    return value[:_MAX_NAME] if isinstance(value, str) else ""
