"""A lake in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    import duckdb
    from pyarrow.fs import FileSystem

    from tollmeter.model.home import Home
    from tollmeter.sql.places.base import StateObjects


class LocalPlace:
    """The folder that `lake_url` names, else `lake/` below the home."""

    def __init__(self, home: Home) -> None:
        self.folder = Path(home.place.url).expanduser().absolute() if home.place.url else home.lake
        # A plain path: pyiceberg cuts a `file:` address at the first `#` or `?` and would write elsewhere.
        self.warehouse = str(self.folder)
        self.io_properties: dict[str, str] = {}
        # A lake of its own folder may be shared by several homes, and so is what runs leave for each other.
        self._state = self.folder / "state" if home.place.url else home.state

    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.folder.exists()

    def prepare(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing to do: DuckDB reads local files."""

    def files(self) -> tuple[FileSystem, str]:
        """The local file system, and the folder."""
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), self.warehouse

    def state(self) -> StateObjects:
        """Files below `state/`."""
        return LocalState(self._state)


class LocalState:
    """State objects as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """The bytes of a file."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        """Written whole under a hidden name, then linked, which fails where the name is taken."""
        hidden = self._hidden(name, content)
        try:
            os.link(hidden, self._folder / name)
        except FileExistsError:
            return False
        finally:
            hidden.unlink()
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Written whole under a hidden name, then renamed."""
        self._hidden(name, content).replace(self._folder / name)

    def delete(self, name: str) -> None:
        """The file is removed."""
        (self._folder / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """Files that are not hidden."""
        found = (self._folder / prefix).parent if not prefix.endswith("/") else self._folder / prefix
        paths = (path for path in found.rglob("*") if path.is_file() and not path.name.startswith("."))
        names = (path.relative_to(self._folder).as_posix() for path in paths)
        return sorted(name for name in names if name.startswith(prefix))

    def _hidden(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.{uuid4().hex}")
        hidden.write_bytes(content)
        return hidden
