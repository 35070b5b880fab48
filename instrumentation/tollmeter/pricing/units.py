"""What can be priced: the units of the price book, and how each is counted from a `Usage`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.pricing.cost import RATE_SCALE
from tollmeter.pricing.usage import TOOL_FILE_SEARCH, TOOL_WEB_SEARCH, Usage

INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, FEES = range(5)

_PER_MILLION: Final = 10 ** (RATE_SCALE - 6)
_PER_THOUSAND: Final = 10 ** (RATE_SCALE - 3)


@dataclass(frozen=True, slots=True)
class Unit:
    """One priced class: the part of the cost it belongs to, its dimensions, and the scale of its price.

    A class is a part of every class whose dimensions are a subset of its own: cached audio is both cached and audio.
    """

    part: int
    dimensions: frozenset[str]
    scale: int = _PER_MILLION

    def is_part_of(self, other: Unit) -> bool:
        """Whether every token of this class is also one of the other."""
        return other.dimensions < self.dimensions


def _unit(part: int, *dimensions: str, scale: int = _PER_MILLION) -> Unit:
    return Unit(part, frozenset(dimensions), scale)


UNITS: Final[dict[str, Unit]] = {
    "input_mtok": _unit(INPUT, "in"),
    "output_mtok": _unit(OUTPUT, "out"),
    "cache_read_mtok": _unit(CACHE_READ, "in", "read"),
    "cache_write_mtok": _unit(CACHE_WRITE, "in", "write"),
    "cache_write_1h_mtok": _unit(CACHE_WRITE, "in", "write", "1h"),
    "input_audio_mtok": _unit(INPUT, "in", "audio"),
    "input_image_mtok": _unit(INPUT, "in", "image"),
    "cache_audio_read_mtok": _unit(CACHE_READ, "in", "audio", "read"),
    "cache_image_read_mtok": _unit(CACHE_READ, "in", "image", "read"),
    "output_audio_mtok": _unit(OUTPUT, "out", "audio"),
    "output_image_mtok": _unit(OUTPUT, "out", "image"),
    "output_reasoning_mtok": _unit(OUTPUT, "out", "reasoning"),
    "web_searches_kcount": _unit(FEES, "web search", scale=_PER_THOUSAND),
    "storage_searches_kcount": _unit(FEES, "file search", scale=_PER_THOUSAND),
    "requests_kcount": _unit(FEES, "request", scale=_PER_THOUSAND),
}
"""The price keys of genai-prices that our usage can count."""

TOOL_PRICES: Final = {TOOL_WEB_SEARCH: "web_searches_kcount", TOOL_FILE_SEARCH: "storage_searches_kcount"}

UNCOUNTED: Final = frozenset(
    {
        "audio_hours",
        "input_audio_hours",
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_mchars",
        "input_text_messages_kcount",
    }
)
"""Price keys in units no usage field holds: a call of such a model cannot be priced in full."""

NEVER_REPORTED: Final = frozenset({"input_video_mtok", "output_video_mtok", "output_citation_mtok"})
"""Price keys of token classes that have no column; their tokens are priced as the class they are part of."""


def count_units(usage: Usage) -> dict[str, int]:
    """How much of every unit a usage holds, by price key, each inclusive of its parts."""
    read = usage.cache_read_tokens or 0
    audio, image = usage.input_audio_tokens or 0, usage.input_image_tokens or 0
    whole = usage.input_tokens or 0
    counts = {
        "input_mtok": whole,
        "output_mtok": usage.output_tokens or 0,
        "cache_read_mtok": read,
        "cache_write_mtok": usage.cache_write_tokens or 0,
        "cache_write_1h_mtok": usage.cache_write_1h_tokens or 0,
        "output_reasoning_mtok": usage.reasoning_tokens or 0,
        "output_audio_mtok": usage.output_audio_tokens or 0,
        "output_image_mtok": usage.output_image_tokens or 0,
        "requests_kcount": 1,
    }
    if audio or image:
        counts |= _media(whole, read, audio, image)
    for tool, calls in usage.server_tool_calls.items():
        if tool in TOOL_PRICES:
            counts[TOOL_PRICES[tool]] = calls
    return counts


def _media(whole: int, read: int, audio: int, image: int) -> dict[str, int]:
    # No field says how much of the cached input was audio or image, so text is taken to be cached first.
    beyond_text = max(0, read - (whole - audio - image))
    cached_audio = min(beyond_text, audio)
    return {
        "input_audio_mtok": audio,
        "input_image_mtok": image,
        "cache_audio_read_mtok": cached_audio,
        "cache_image_read_mtok": beyond_text - cached_audio,
    }


def is_split_assumed(usage: Usage) -> bool:
    """Whether cached tokens had to be split over text, audio and image by assumption."""
    return bool(usage.cache_read_tokens and (usage.input_audio_tokens or usage.input_image_tokens))
