"""Usage that no provider told, estimated from the text of request and answer where both can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from tollmeter.model.names import USAGE_ESTIMATED
from tollmeter.pricing.estimate import METHOD, estimate_answer, estimate_prompt
from tollmeter.pricing.shapes.fields import decoded
from tollmeter.pricing.usage import Usage

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.tap.scanning import Scanner

METHOD_OUTPUT_ONLY: Final = f"{METHOD}:output"


def estimate_whole(call: Call, request: bytes | None, scanner: Scanner | None) -> None:
    """Estimate an OpenAI-shaped call whose answer told no usage; it stays `missing` where either side cannot be read.

    `usage_method` names the method, and what cannot be seen in the text: pictures, hidden reasoning, earlier turns.
    """
    if call.usage is not None or not request:
        return
    output = _seen(scanner) if scanner else _output_of(call.said)
    prompt = estimate_prompt(request) if output else None
    if prompt is None:
        return
    call.usage = Usage(input_tokens=prompt.tokens, output_tokens=output, source=USAGE_ESTIMATED)
    call.facts["usage_method"] = "+".join((METHOD, *(f"{what}_unseen" for what in prompt.unseen)))


def estimate_output(call: Call, request: bytes | None, scanner: Scanner | None) -> None:
    """Raise the output of an Anthropic stream that was left before its last count came, to what was seen of its text.

    Until then it tells the input, and an output of a token or two.
    """
    del request
    usage = call.usage
    if scanner is None or scanner.done or "finish_reason" in call.facts or usage is None:
        return
    output = _seen(scanner)
    if usage.output_tokens is not None and output > usage.output_tokens:
        call.usage = structs.replace(usage, output_tokens=output, source=USAGE_ESTIMATED)
        call.facts["usage_method"] = METHOD_OUTPUT_ONLY


def _seen(scanner: Scanner | None) -> int:
    return scanner.meter.tokens if scanner and scanner.meter else 0


def _output_of(answer: bytes) -> int | None:
    document = decoded(answer)
    return estimate_answer(document) if isinstance(document, dict) and not document.get("error") else None
