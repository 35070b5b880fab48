"""What a check of `tollmeter doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `finding` wants attention, `note` is good to know."""

    check: str
    level: Level
    text: str
