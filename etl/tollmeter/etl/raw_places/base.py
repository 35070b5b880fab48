"""What can be done to raw objects where they lie, beside reading them."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO, Protocol

from tollmeter.etl.discover import RawObject
from tollmeter.etl.ledger import Ledger


class RawPlace(Protocol):
    """Raw objects of one folder or prefix, as `tollmeter.etl.opening.Opener` opens them by key.

    `name` is the folder or address.
    """

    name: str

    def objects(self) -> list[RawObject]:
        """All objects, by key; of each upload hour that is here every one."""
        ...

    def replace(self, key: str, content: BinaryIO) -> None:
        """Put other content in the place of an object: whole or not at all; when it was uploaded is remembered."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none."""
        ...

    def uploaded(self, found: RawObject) -> datetime:
        """When an object was uploaded (UTC), though it may have been written anew since."""
        ...

    def is_past(self, found: RawObject, ledger: Ledger) -> bool:
        """Whether an object of an hour that is no longer listed is sure to have been ingested."""
        ...

    def older_versions(self) -> int:
        """How many versions of objects that were replaced or deleted are still kept here."""
        ...
