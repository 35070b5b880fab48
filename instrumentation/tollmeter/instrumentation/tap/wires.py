"""The wire formats the tap reads, by name; a further one is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.instrumentation.tap import (
    anthropic_wire,
    bedrock_wire,
    cohere_wire,
    gemini_wire,
    ollama_wire,
    openai_wire,
)
from tollmeter.instrumentation.tap.estimating import estimate_output, estimate_whole
from tollmeter.instrumentation.tap.scanning import Scanner

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call

WIRE_OPENAI: Final = "openai"
WIRE_ANTHROPIC: Final = "anthropic"
WIRE_GEMINI: Final = "gemini"
WIRE_BEDROCK: Final = "bedrock"
WIRE_COHERE: Final = "cohere"
WIRE_OLLAMA: Final = "ollama"


class Wire(NamedTuple):
    """How an answer is read, as JSON or parsed (both return its error, or an empty string), and how a stream is."""

    read_answer: Callable[[Call, bytes], str]
    read_document: Callable[[Call, dict[str, Any]], str]
    scanner: Callable[[Call], Scanner]
    estimate: Callable[[Call, bytes | None, Scanner | None], None] | None = None
    """Fills in, from the text of request and answer, usage that was not told."""


WIRES: Final = {
    WIRE_OPENAI: Wire(openai_wire.read_answer, openai_wire.read_document, openai_wire.OpenAIScanner, estimate_whole),
    WIRE_ANTHROPIC: Wire(
        anthropic_wire.read_answer, anthropic_wire.read_document, anthropic_wire.AnthropicScanner, estimate_output
    ),
    WIRE_GEMINI: Wire(gemini_wire.read_answer, gemini_wire.read_document, gemini_wire.GeminiScanner),
    WIRE_BEDROCK: Wire(bedrock_wire.read_answer, bedrock_wire.read_document, bedrock_wire.FrameScanner),
    WIRE_COHERE: Wire(cohere_wire.read_answer, cohere_wire.read_document, cohere_wire.CohereScanner),
    WIRE_OLLAMA: Wire(ollama_wire.read_answer, ollama_wire.read_document, ollama_wire.OllamaScanner),
}
