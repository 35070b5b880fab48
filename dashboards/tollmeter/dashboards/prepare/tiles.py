"""A headline number: as shown, as a machine reads it, its change, and whether that is good news."""

from __future__ import annotations

from dataclasses import dataclass

from tollmeter.dashboards.prepare.formats import Tone


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline number: as shown, as a machine reads it, its change, and a second line."""

    id: str
    label: str
    text: str
    unit: str
    value: str
    delta: str
    tone: Tone
    note: str
    help: str
    warn: bool = False
    before: str = "against the period of the same length just before"
    href: str = ""
