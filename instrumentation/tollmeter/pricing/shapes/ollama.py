"""The Ollama shape: chat, generate and embed of its own API, plain or a JSON document a line.

The last document of a stream has the counts. What the prompt cache held is left out of them by old versions.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any, Final

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes.fields import decoded, first
from tollmeter.pricing.usage import Usage

_COUNT: Final = b"eval_count"


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed answer or line of a stream, or None where it holds none.

    >>> usage_of({"done": True, "prompt_eval_count": 26, "eval_count": 298}).output_tokens
    298
    """
    if not isinstance(document, dict):
        return None
    whole_in, whole_out = first(document, "prompt_eval_count"), first(document, "eval_count")
    if whole_in is None and whole_out is None:
        return None
    if whole_out is None and "embeddings" in document:
        whole_out = 0
    return Usage(input_tokens=whole_in, output_tokens=whole_out)


def extract(body: bytes, *, stream: bool) -> Usage | None:
    """The usage of a whole body.

    Returns None for an error document, a usage with source `missing` where the body tells none.
    """
    parts = [part for part in reversed(body.splitlines()) if _COUNT in part] if stream else [body]
    found = next((usage for part in parts if (usage := usage_of(decoded(part)))), None)
    if found is None and not stream and _is_error(decoded(body)):
        return None
    return found or Usage(source=USAGE_MISSING)


def _is_error(document: Any) -> bool:
    return isinstance(document, dict) and bool(document.get("error"))
