"""Raw objects in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from tollmeter.etl.discover import RawObject, Span, hour_of
from tollmeter.etl.ledger import Ledger
from tollmeter.etl.sources.folder import FolderSource

if TYPE_CHECKING:
    from tollmeter.model.home import Home


class FolderRaw:
    """The files below a folder, without a name the home's own raw folder.

    With `keys` just those, with `only_hours` those that lie in upload hours.
    """

    def __init__(self, home: Home, folder: str = "", *, keys: Collection[str] = (), only_hours: bool = False) -> None:
        self._home, self._source = home, FolderSource(home, folder, Span())
        self._keys, self._only_hours = keys, only_hours
        self.name = self._source.name

    def objects(self) -> list[RawObject]:
        """All files that are not hidden."""
        if self._keys:
            return [each for key in sorted(self._keys) for each in self._source.object_at(self._home.raw / key)]
        found = self._source.find(Ledger(None)).objects
        return [each for each in found if not self._only_hours or hour_of(each.key)]

    def replace(self, key: str, content: BinaryIO) -> None:
        """Written under a hidden name, then renamed; the time it was last written stays."""
        path = self._home.raw / key
        hidden, times = path.with_name(f".{path.name}.new"), path.stat()
        with hidden.open("wb") as file:
            shutil.copyfileobj(content, file)
        os.utime(hidden, ns=(times.st_atime_ns, times.st_mtime_ns))
        hidden.replace(path)

    def delete(self, key: str) -> None:
        """The file is removed."""
        (self._home.raw / key).unlink(missing_ok=True)

    def uploaded(self, found: RawObject) -> datetime:
        """The time the file was last written."""
        return datetime.fromtimestamp((self._home.raw / found.key).stat().st_mtime, UTC)

    def is_past(self, found: RawObject, ledger: Ledger) -> bool:
        """As the ledger says: an hour of a folder is looked at again once its folder has changed."""
        return ledger.is_past(found)

    def older_versions(self) -> int:
        """None: a folder keeps no versions."""
        return 0
