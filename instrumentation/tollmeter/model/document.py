"""Definition files, YAML or JSON, whose every value remembers its line, so that a slip is answered where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from tollmeter.model.errors import DefinitionError, MissingExtraError

_T = TypeVar("_T", bound=str | int)
_SPACE: Final = re.compile(r"[\s,:]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a mapping, with where it stands; `literal` is a number or date as it was written."""

    key: str
    value: Any
    source: str
    line: int
    literal: str = ""

    def refused(self, allowed: str) -> DefinitionError:
        """The error that this value deserves."""
        return DefinitionError(self.source, self.line, f"{self.key}: {self.value!r}", allowed)

    def plain_text(self) -> str:
        """The value, which must be text.

        Raises:
            DefinitionError: it is not.
        """
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.refused("text")
        return self.value.strip()

    def text(self, pattern: re.Pattern[str], allowed: str) -> str:
        """The value, which must be text that matches the whole pattern.

        Raises:
            DefinitionError: it does not.
        """
        if not isinstance(self.value, str) or not pattern.fullmatch(self.value):
            raise self.refused(allowed)
        return self.value

    def text_up_to(self, length: int) -> str:
        """The value, which must be text of at most so many characters.

        Raises:
            DefinitionError: it is not.
        """
        text = self.plain_text()
        if len(text) > length:
            raise self.refused(f"at most {length} characters")
        return text

    def whole_number(self, least: int, most: int) -> int:
        """The value, which must be a whole number within bounds, both included.

        Raises:
            DefinitionError: it is not.
        """
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not least <= self.value <= most:
            raise self.refused(f"a whole number from {least} to {most}")
        return self.value

    def number(self, least: float, most: float) -> float:
        """The value, which must be a number within bounds, both included.

        Raises:
            DefinitionError: it is not.
        """
        if not isinstance(self.value, int | float) or isinstance(self.value, bool) or not least <= self.value <= most:
            raise self.refused(f"a number from {least} to {most}")
        return self.value

    def decimal(self, least: int, most: int, places: int) -> Decimal:
        """The value as it was written, never through a float: a number within bounds, both included.

        Raises:
            DefinitionError: it is not, or has more than so many decimal places.
        """
        allowed = f"a number from {least} to {most} with at most {places} decimal places"
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | str):
            raise self.refused(allowed)
        try:
            number = Decimal(self.literal)
        except InvalidOperation:
            raise self.refused(allowed) from None
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or -exponent > places or not least <= number <= most:
            raise self.refused(allowed)
        return number

    def moment(self) -> datetime:
        """The value, which must be a date (its first moment in UTC counts) or a time with its zone; in UTC.

        Raises:
            DefinitionError: it is not.
        """
        try:
            moment = datetime.fromisoformat(self.literal)
        except ValueError:
            raise self.refused("a date such as 2026-01-31, or a time with its zone") from None
        if moment.tzinfo is None and len(self.literal) > len("2026-01-31"):
            raise self.refused("a time with its zone, such as 2026-01-31T00:00:00Z")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def sections(self) -> list[Section]:
        """The value, which must be a list of mappings.

        Raises:
            DefinitionError: it is not.
        """
        if not isinstance(self.value, list) or not all(isinstance(item, Section) for item in self.value):
            raise self.refused("a list of mappings")
        return self.value

    def one_of(self, allowed: Sequence[_T]) -> _T:
        """The value, which must be one of those.

        Raises:
            DefinitionError: it is not.
        """
        for choice in allowed:
            if type(self.value) is type(choice) and self.value == choice:
                return choice
        raise self.refused("one of " + ", ".join(str(choice) for choice in allowed))

    def some_of(self, allowed: Sequence[str]) -> tuple[str, ...]:
        """The value, which must be a list of some of those, none twice.

        Raises:
            DefinitionError: it is not.
        """
        found: list[Any] = self.value if isinstance(self.value, list) else [None]
        if not found or len(set(map(str, found))) < len(found) or not all(item in allowed for item in found):
            raise self.refused("a list of some of " + ", ".join(allowed))
        return tuple(found)


class Section:
    """A mapping that notes which keys were asked for."""

    def __init__(self, entries: dict[str, Entry], source: str, line: int) -> None:
        self._entries = entries
        self._source = source
        self.line = line
        self._asked: set[str] = set()

    def __repr__(self) -> str:
        return "a mapping"

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, as it stands in the file; all count as asked for."""
        self._asked |= self._entries.keys()
        return iter(self._entries.values())

    def optional(self, key: str) -> Entry | None:
        """The entry of a key, or None."""
        self._asked.add(key)
        return self._entries.get(key)

    def entry(self, key: str) -> Entry:
        """The entry of a key.

        Raises:
            DefinitionError: the key is missing.
        """
        self._asked.add(key)
        if key not in self._entries:
            raise DefinitionError(self._source, self.line, f"leaving out {key}", f"the key {key}")
        return self._entries[key]

    def section(self, key: str) -> Section:
        """The mapping below a key.

        Raises:
            DefinitionError: the key is missing, or its value is no mapping.
        """
        found = self.entry(key)
        if not isinstance(found.value, Section):
            raise found.refused("a mapping")
        return found.value

    def refuse_the_rest(self) -> None:
        """Complain about the first key that nobody asked for.

        Raises:
            DefinitionError: there is one.
        """
        for key, found in self._entries.items():
            if key not in self._asked:
                raise DefinitionError(self._source, found.line, f"key {key!r}", ", ".join(sorted(self._asked)))


def read_document(text: str, source: str, *, extra: str) -> Section:
    """The mapping that a text holds: JSON where the name of its source ends so, else YAML.

    Args:
        text: the file's text.
        source: the file's name, for messages.
        extra: the extra that brings PyYAML to whoever asks.

    Raises:
        DefinitionError: the text is not YAML or JSON, not a mapping, or gives a key twice.
        MissingExtraError: PyYAML is not installed, and the text is not JSON.
    """
    if source.endswith(".json"):
        return _read_json(text, source)
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtraError("yaml", extra) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DefinitionError(source, line, str(error.problem), "YAML") from error
    except yaml.YAMLError as error:
        raise DefinitionError(source, 1, str(error), "YAML") from error
    if not isinstance(node, yaml.MappingNode):
        raise DefinitionError(source, 1, "what is no mapping", "keys and values")
    try:
        return _yaml_section(node, source)
    except RecursionError as error:
        raise DefinitionError(source, 1, "an alias of what it stands in", "plain nesting") from error


def _section(found: Iterator[tuple[str, int, Any, str]], source: str, line: int) -> Section:
    entries: dict[str, Entry] = {}
    for key, key_line, value, literal in found:
        if key in entries:
            raise DefinitionError(source, key_line, f"giving {key} twice", "each key once")
        entries[key] = Entry(key, value, source, key_line, literal)
    return Section(entries, source, line)


# --- YAML ----------------------------------------------------------------------------------------------------------


def _yaml_section(node: Any, source: str) -> Section:
    found = (
        (str(key.value), key.start_mark.line + 1, _yaml_value(value, source), _yaml_literal(value))
        for key, value in node.value
    )
    return _section(found, source, node.start_mark.line + 1)


def _yaml_literal(node: Any) -> str:
    return node.value if isinstance(node.value, str) else ""


def _yaml_value(node: Any, source: str) -> Any:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _yaml_section(node, source)
    if isinstance(node, yaml.SequenceNode):
        return [_yaml_value(item, source) for item in node.value]
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (ValueError, yaml.YAMLError) as error:  # such as the thirteenth month, or a tag nobody knows
        raise DefinitionError(source, node.start_mark.line + 1, repr(node.value), f"YAML ({error})") from error


# --- JSON ----------------------------------------------------------------------------------------------------------


def _read_json(text: str, source: str) -> Section:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise DefinitionError(source, error.lineno, error.msg, "JSON") from error
    found, _ = _json_value(text, _next(text, 0), source)
    if not isinstance(found, Section):
        raise DefinitionError(source, 1, "what is no mapping", "keys and values")
    return found


def _json_value(text: str, start: int, source: str) -> tuple[Any, int]:
    """The value at a place of a text that is known to be JSON, and where it ends."""
    if text[start] == "{":
        members: list[tuple[str, int, Any, str]] = []
        end = _next(text, start + 1)
        while text[end] != "}":
            key, after = _json_value(text, end, source)
            begin = _next(text, after)
            value, stop = _json_value(text, begin, source)
            members.append((key, _line(text, end), value, _json_literal(value, text[begin:stop])))
            end = _next(text, stop)
        return _section(iter(members), source, _line(text, start)), end + 1
    if text[start] == "[":
        items: list[Any] = []
        end = _next(text, start + 1)
        while text[end] != "]":
            item, stop = _json_value(text, end, source)
            items.append(item)
            end = _next(text, stop)
        return items, end + 1
    return json.JSONDecoder().raw_decode(text, start)


def _json_literal(value: Any, written: str) -> str:
    if isinstance(value, str):
        return value
    return "" if isinstance(value, list | Section) else written


def _next(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
