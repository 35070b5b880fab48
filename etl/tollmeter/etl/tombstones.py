"""Users and tenants whose rows were deleted for good: a keyed hash of each id, so that their lines stay out.

The key stands with the lake, as a property of the table `tombstones`. Whoever can read the lake can test whether an id
that they already know was forgotten; nobody can read the ids.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from tollmeter.model.events import utc_now

if TYPE_CHECKING:
    from pyiceberg.table import Table

FORGETTABLE: Final = ("user_id", "tenant_id")
"""What can be forgotten: fields of events."""

KEY_PROPERTY: Final = "tollmeter.tombstone-key"
_SPELLED: Final = re.compile(rb'"(user_id|tenant_id)"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)')
_MAX_REMEMBERED: Final = 100_000


class Tombstones:
    """The digests of a lake; false when nobody was forgotten, so that looking costs nothing. It can be pickled."""

    def __init__(self, key: bytes = b"", digests: frozenset[str] = frozenset()) -> None:
        self._key = key
        self._digests = digests
        self._remembered: dict[tuple[str, str], bool] = {}

    @classmethod
    def of(cls, table: Table | None) -> Tombstones:
        """Those that a lake holds now."""
        if table is None or KEY_PROPERTY not in table.properties:
            return cls()
        rows = table.scan(selected_fields=("digest",)).to_arrow()
        return cls(bytes.fromhex(table.properties[KEY_PROPERTY]), frozenset(rows["digest"].to_pylist()))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def holds(self, kind: str, value: str) -> bool:
        """Whether this user or tenant was forgotten.

        >>> Tombstones(b"k", frozenset([digest_of(b"k", "user_id", "ann")])).holds("user_id", "ann")
        True
        """
        if not (value and self._digests):
            return False
        known = self._remembered.get((kind, value))
        if known is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[kind, value] = digest_of(self._key, kind, value) in self._digests
        return known

    def cover(self, event: Struct) -> bool:
        """Whether an event, or the shape of one, belongs to a forgotten user or tenant."""
        return bool(self._digests) and any(self.holds(kind, getattr(event, kind, "")) for kind in FORGETTABLE)

    def cover_text(self, line: bytes) -> bool:
        """Whether a line that is no valid event names a forgotten user or tenant where an event would."""
        if not self._digests:
            return False
        return any(self.holds(match[1].decode(), _text(match[2])) for match in _SPELLED.finditer(line))


def digest_of(key: bytes, kind: str, value: str) -> str:
    """The digest of one id, in hex."""
    return hmac.new(key, f"{kind}\x1f{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def key_of(table: Table) -> bytes:
    """The key of a lake, made when it is first needed."""
    if KEY_PROPERTY not in table.properties:
        with table.transaction() as change:
            change.set_properties({KEY_PROPERTY: secrets.token_hex(32)})
    return bytes.fromhex(table.properties[KEY_PROPERTY])


def bury(table: Table, kind: str, value: str) -> bool:
    """Refuse a user or tenant from now on; False when that was so before.

    Raises:
        pyiceberg.exceptions.CommitFailedException: another writer was faster; nothing was written.
    """
    if Tombstones.of(table).holds(kind, value):
        return False
    import pyarrow as pa

    from tollmeter.model.arrow import arrow_schema

    row: dict[str, Any] = {
        "kind": kind,
        "digest": digest_of(key_of(table), kind, value),
        "ingested_at": utc_now().replace(tzinfo=None),
    }
    table.append(pa.Table.from_pylist([row], schema=arrow_schema(table.name()[-1])))
    return True


def _text(spelled: bytes) -> str:
    try:
        return str(json.loads(spelled))
    except ValueError:
        return spelled.strip(b'"').decode("utf-8", "replace")
