"""The one folder that holds all state: `spool/`, `raw/`, `lake/` and `state/` below a home."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folders below one home; nothing is created until it is asked for."""

    path: Path

    @classmethod
    def resolve(cls, path: str | os.PathLike[str] | None = None) -> Home:
        """The home named by argument, else `TOLLMETER_HOME`, else `~/.tollmeter`."""
        chosen = path or os.environ.get("TOLLMETER_HOME") or "~/.tollmeter"
        return cls(Path(chosen).expanduser().absolute())

    @property
    def spool(self) -> Path:
        """Where services append, one folder per service."""
        return self.path / "spool"

    @property
    def raw(self) -> Path:
        """Where the forwarder uploads, by hour of upload."""
        return self.path / "raw"

    @property
    def lake(self) -> Path:
        """The Iceberg warehouse and, embedded, its SQLite catalog."""
        return self.path / "lake"

    @property
    def state(self) -> Path:
        """Cursors, locks and what else is remembered between runs."""
        return self.path / "state"
