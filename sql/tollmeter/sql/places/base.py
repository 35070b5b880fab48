"""What a place of a lake can do, whatever it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import duckdb
    from pyarrow.fs import FileSystem


class StateObjects(Protocol):
    """Small objects that runs leave for each other, beside the lake so that any machine finds them.

    The parts of a name have `/` between them, and none begins with a dot.
    """

    def read(self, name: str) -> bytes | None:
        """What an object holds; None where there is none."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that is not there yet; False, and nothing written, where it is."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write an object, over the one that is there."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """The names of the objects that begin so, in order."""
        ...


class Place(Protocol):
    """Where the files of a lake lie.

    `warehouse` is the address that Iceberg puts tables below, `io_properties` what its file IO needs to be told.
    """

    warehouse: str
    io_properties: dict[str, str]

    def exists(self) -> bool:
        """Whether a lake has ever been made here."""
        ...

    def prepare(self) -> None:
        """Make what a first table needs."""
        ...

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB read the addresses of this place's data files as `read_parquet` is given them."""
        ...

    def files(self) -> tuple[FileSystem, str]:
        """The file system, and the path of the warehouse in it: to list, look at and delete what lies there."""
        ...

    def state(self) -> StateObjects:
        """The objects that runs leave for each other."""
        ...
