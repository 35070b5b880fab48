"""What kinds of tokens there were, and what each of them cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tollmeter.dashboards.prepare import cells, formats, units
from tollmeter.dashboards.prepare.charts import Chart, Point, stacked
from tollmeter.dashboards.prepare.colours import Palette
from tollmeter.dashboards.prepare.ratios import per, share
from tollmeter.dashboards.queries.cube import Figures, Sums
from tollmeter.dashboards.window import Window

Row = dict[str, Any]

UNCACHED, READ, WRITE, WRITE_1H = "input, uncached", "cache read", "cache write, 5 min", "cache write, 1 h"
VISIBLE, REASONING = "output, visible", "reasoning"
_COLOURS: Final = Palette(
    {
        UNCACHED: "#5b8ff9", READ: "#5ad8a6", WRITE: "#f6bd16", WRITE_1H: "#ff9d4d",
        VISIBLE: "#6d83f2", REASONING: "#bc6ff1",
    }
)  # fmt: skip
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of tokens: how many, and what they cost; None where that is not told apart."""

    name: str
    tokens: int | None
    cost: Decimal | None = None
    note: str = ""


def token_kinds(found: Figures) -> dict[str, int]:
    """Every token once, by kind; kinds that the source does not tell apart are part of the one they belong to."""
    read, written = found.cache_read_tokens, found.cache_write_tokens or 0
    long_lived, reasoning = found.cache_write_1h_tokens or 0, found.reasoning_tokens or 0
    return {
        UNCACHED: found.input_tokens - read - written,
        READ: read,
        WRITE: written - long_lived,
        WRITE_1H: long_lived,
        VISIBLE: found.output_tokens - reasoning,
        REASONING: reasoning,
    }


def kinds_chart(rows: Sums, span: Window, before: tuple[Sums, Window] | None = None) -> Chart:
    """Tokens per bucket, stacked by kind."""
    old = (_points(before[0]), before[1]) if before else None
    return stacked(_points(rows), span, _COLOURS, units.COUNT, before=old)


def _points(rows: Sums) -> list[Point]:
    return [Point(row.bucket, kind, tokens) for row in rows.rows for kind, tokens in token_kinds(row).items() if tokens]


def parts(found: Figures) -> tuple[Part, ...]:
    """What the money bought: kinds that cost apart, fees, and what no part is known of; they add up to spend."""
    kinds = token_kinds(found)
    written = kinds[WRITE] + kinds[WRITE_1H]
    thought = _of(kinds[REASONING], found.output_tokens, "reasoning")
    split = (
        found.input_cost_usd, found.cache_read_cost_usd, found.cache_write_cost_usd, found.output_cost_usd,
        found.fees_usd,
    )  # fmt: skip
    told = (
        Part("Input, uncached", kinds[UNCACHED], found.input_cost_usd),
        Part("Cache reads", kinds[READ], found.cache_read_cost_usd),
        Part("Cache writes", written, found.cache_write_cost_usd, _of(kinds[WRITE_1H], written, "kept for an hour")),
        Part("Output", found.output_tokens, found.output_cost_usd, thought),
        Part("Per-use fees", None, found.fees_usd, "such as web searches"),
    )
    rest = (found.cost_usd or Decimal(0)) - sum((cost for cost in split if cost is not None), Decimal(0))
    return (*told, Part("Not told apart", None, rest, "calls whose parts are not known")) if rest else told


def media(found: Figures) -> tuple[Part, ...]:
    """Audio and images: each is a part of the input or the output above, and priced with it."""
    kinds = (
        ("Audio in", found.input_audio_tokens, "input"),
        ("Images in", found.input_image_tokens, "input"),
        ("Audio out", found.output_audio_tokens, "output"),
        ("Images out", found.output_image_tokens, "output"),
    )
    return tuple(Part(name, tokens, None, f"part of {whole}") for name, tokens, whole in kinds if tokens)


def part_rows(found: Figures) -> list[Row]:
    """The parts as a table: tokens, cost, their shares, and what a million of them cost on average."""
    tokens = found.input_tokens + found.output_tokens
    return [_row(part, tokens, found.cost_usd) for part in (*parts(found), *media(found))]


def _row(part: Part, tokens: int, cost: Decimal | None) -> Row:
    rate = per(part.cost * _MILLION, part.tokens) if part.cost is not None else None
    return {
        "name": part.name,
        "tokens": part.tokens,
        "token_share": share(part.tokens, tokens),
        **cells.money("cost", part.cost, formats.NOTHING),
        "cost_share": share(part.cost, cost),
        **cells.money("rate", rate, formats.NOTHING),
        "note": part.note,
    }


def _of(part: int, whole: int, what: str) -> str:
    found = share(part, whole)
    return f"{formats.share(found)} {what}" if part and found is not None else ""
