"""One colour per entity: the same on every chart, under every filter, on every day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

OTHER: Final = "other"
OTHER_COLOUR: Final = "#98a2b3"
NOT_SET_COLOUR: Final = "#64748b"
QUANTILE_COLOURS: Final = {"p50": "#94a3b8", "p95": "#8b7cf6", "p99": "#d16ba5"}
ERROR_COLOUR: Final = "#e5534b"
# No red, which is for errors, and none of the colours of the quantiles.
PALETTE: Final = (
    "#5b8ff9",
    "#5ad8a6",
    "#f6bd16",
    "#45b8d6",
    "#ff9d4d",
    "#269a99",
    "#9fb40f",
    "#c49a6c",
    "#ff99c3",
    "#4f6fae",
    "#a7c957",
    "#8d6e63",
    "#0e7490",
    "#bc6ff1",
    "#7fb069",
    "#e0a458",
    "#6d83f2",
    "#2dd4bf",
    "#b5838d",
    "#d4b106",
    "#f4978e",
    "#3f7d20",
    "#a18cd1",
)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of the values of one dimension."""

    known: dict[str, str]

    def of(self, name: str) -> str:
        """The colour of a value; of one that was not known before, the one its text gives.

        >>> palette(["a", "b"]).of("b") == PALETTE[1]
        True
        """
        return self.known.get(name) or _by_text(name)


def palette(names: Iterable[str]) -> Palette:
    """Colours by order of first appearance in the lake: what comes later, or is filtered out, changes none."""
    given = [name for name in dict.fromkeys(names) if name]
    return Palette({name: PALETTE[index % len(PALETTE)] for index, name in enumerate(given)} | {OTHER: OTHER_COLOUR})


def _by_text(name: str) -> str:
    return PALETTE[crc32(name.encode("utf-8", "replace")) % len(PALETTE)] if name else NOT_SET_COLOUR
