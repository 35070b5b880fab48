"""Raw objects: which there are, what they contain, which have not been ingested yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_EXPANSION: Final = 8  # JSON lines of wide events compress about 7 times


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object below `raw/`: its key (path relative to `raw/`), its path, its stored size in bytes."""

    key: str
    path: Path
    size: int

    @property
    def expanded(self) -> int:
        """A guess at its size in bytes once decompressed."""
        return self.size if self.key.endswith(".jsonl") else self.size * _EXPANSION


def list_objects(raw: Path) -> list[RawObject]:
    """All objects below `raw`, by key: oldest upload first. Hidden files are uploads under way and are left out."""
    return sorted(_objects(raw), key=lambda found: found.key)


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes as stored, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _objects(raw: Path) -> Iterator[RawObject]:
    for path in raw.rglob("*"):
        if path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file():
            yield RawObject(path.relative_to(raw).as_posix(), path, path.stat().st_size)
