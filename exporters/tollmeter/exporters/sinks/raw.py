"""The raw folder: one zstd object per segment, by hour of upload; what S3 is elsewhere, on a local disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

_SUFFIX: Final = ".jsonl.zst"
_CHUNK: Final = 1 << 20
_LEVEL: Final = 3


class RawFolder:
    """Stores closed segments below one folder, each whole or not at all, never over another."""

    name = "raw"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._compressor = compressor()

    def key_for(self, segment_id: str, now: datetime) -> str:
        """`dt=YYYY-MM-DD/hour=HH/<segment id>.jsonl.zst`, in UTC."""
        return key_for(segment_id, now)

    def find(self, segment_id: str, now: datetime) -> str | None:
        """Look through the hours of today and yesterday."""
        for hour in self._hours(now):
            if (hour / f"{segment_id}{_SUFFIX}").exists():
                return (hour / f"{segment_id}{_SUFFIX}").relative_to(self._root).as_posix()
        return None

    def exists(self, key: str) -> bool:
        """Whether the object lies in the folder."""
        return (self._root / key).exists()

    def store(self, source: Path, key: str) -> None:
        """Compress into a hidden file, sync it, then link it under its name, which fails if the name is taken.

        Raises:
            OSError: the segment cannot be read, or the object not be written.
        """
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = _hidden(target)
        # One left behind may be the object itself under its other name, where an attempt ended between two steps.
        hidden.unlink(missing_ok=True)
        try:
            self._compress(source, hidden)
            target.hardlink_to(hidden)
        except FileExistsError:
            return
        finally:
            hidden.unlink(missing_ok=True)
        _sync_folders(target.parent, self._root)

    def discard(self, key: str) -> None:
        """Remove the hidden file of an attempt that was killed."""
        _hidden(self._root / key).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing to let go of."""

    def probe(self) -> str:
        """Write a hidden file and remove it.

        Raises:
            OSError: the folder cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._root):
            return f"stores objects below {self._root}; it can be written"

    def _compress(self, source: Path, target: Path) -> None:
        size = source.stat().st_size
        with source.open("rb") as read, target.open("wb") as write:
            self._compressor.copy_stream(read, write, size=size, read_size=_CHUNK, write_size=_CHUNK)
            write.flush()
            os.fsync(write.fileno())

    def _hours(self, now: datetime) -> Iterator[Path]:
        for day in (now, now - timedelta(days=1)):
            folder = self._root / f"dt={day:%Y-%m-%d}"
            if folder.is_dir():
                yield from folder.glob("hour=*")


def key_for(segment_id: str, now: datetime) -> str:
    """Where a segment lies below the raw folder or prefix when it is uploaded at this time (UTC).

    >>> key_for("0193", datetime(2026, 3, 1, 7, 59))
    'dt=2026-03-01/hour=07/0193.jsonl.zst'
    """
    return f"dt={now:%Y-%m-%d}/hour={now:%H}/{segment_id}{_SUFFIX}"


def compressor() -> ZstdCompressor:
    """What raw objects are compressed with: zstd level 3 with a checksum.

    Raises:
        MissingExtraError: zstandard is not installed.
    """
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingExtraError("zstandard", "forward") from error
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")


def _sync_folders(folder: Path, root: Path) -> None:
    # The name of the object, and of folders made for it, must outlive a power failure before the segment is deleted.
    for path in (folder, folder.parent, root):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
