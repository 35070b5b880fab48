"""Who is to be forgotten, and how to recognise their id in a column, a line and plain bytes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from tollmeter.etl.tombstones import FORGETTABLE
from tollmeter.model.errors import UsageError
from tollmeter.sql.lake_views import quoted

_WORD: Final = "[A-Za-z0-9_-]"
_SPECIAL: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True)
class Subject:
    """One user or tenant: `kind` is a field of events, `value` the id; with `mentions` wherever the id stands."""

    kind: str
    value: str
    mentions: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FORGETTABLE or not self.value.strip():
            raise UsageError(f"{self.kind}={self.value!r} is not allowed: expected an id of {' or '.join(FORGETTABLE)}")

    @cached_property
    def _spellings(self) -> list[str]:
        """The id as it may stand in text: as it is, and as JSON escapes it."""
        found = (self.value, json.dumps(self.value)[1:-1], json.dumps(self.value, ensure_ascii=False)[1:-1])
        return list(dict.fromkeys(found))

    @cached_property
    def pattern(self) -> str:
        """A pattern of the id as a whole word, for RE2 and `re` alike."""
        any_of = "|".join(_SPECIAL.sub(r"\\\1", spelling) for spelling in self._spellings)
        return f"(?:^|[^A-Za-z0-9_-])(?:{any_of})(?:$|[^A-Za-z0-9_-])"

    @cached_property
    def _field_pattern(self) -> str:
        any_of = "|".join(_SPECIAL.sub(r"\\\1", spelling) for spelling in self._spellings)
        return f'"{self.kind}"\\s*:\\s*"?(?:{any_of})"?(?:$|[^A-Za-z0-9_-])'

    @cached_property
    def _needles(self) -> list[bytes]:
        return [spelling.encode("utf-8", "surrogatepass") for spelling in self._spellings]

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        any_of = b"|".join(map(re.escape, self._needles))
        return re.compile(b"(?<!" + _WORD.encode() + b")(?:" + any_of + b")(?!" + _WORD.encode() + b")")

    def stands_in(self, data: bytes) -> bool:
        """Whether the id stands in bytes as a whole word.

        >>> Subject("user_id", "ann").stands_in(b'"ann"'), Subject("user_id", "ann").stands_in(b"annals")
        (True, False)
        """
        return any(needle in data for needle in self._needles) and self._bytes.search(data) is not None

    def may_own(self, lines: bytes) -> bool:
        """Whether any of some lines may go; False is certain."""
        return any(needle in lines for needle in self._needles)

    def owns(self, line: bytes) -> bool:
        """Whether a raw line goes: an event of theirs, what is no event but says so, or one that mentions them."""
        if not self.may_own(line):
            return False
        if self.mentions and self.stands_in(line):
            return True
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return re.search(self._field_pattern.encode(), line) is not None
        return isinstance(event, dict) and str(event.get(self.kind, "")) == self.value

    def condition(self, columns: dict[str, str]) -> str:
        """The SQL condition on rows of theirs, by the types of a table's columns; empty where there can be none."""
        tests = list[str]()
        if self.kind in columns:
            tests.append(f"coalesce({quoted(self.kind)} = {_literal(self.value)}, FALSE)")
        if "raw_text" in columns:
            tests.append(f"coalesce(regexp_matches(raw_text, {_literal(self._field_pattern)}), FALSE)")
        if self.mentions:
            tests += [
                f"coalesce(regexp_matches({quoted(name)}, {_literal(self.pattern)}), FALSE)"
                for name, kind in columns.items()
                if kind == "string"
            ]
        return f"({' OR '.join(tests)})" if tests else ""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
