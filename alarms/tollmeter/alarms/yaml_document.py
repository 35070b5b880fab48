"""YAML whose every value remembers its line, so that a slip is answered where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tollmeter.model.errors import DefinitionError, MissingExtraError

_T = TypeVar("_T", bound=str | int)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a mapping, with where it stands."""

    key: str
    value: Any
    source: str
    line: int

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
        self._line = line
        self._asked: set[str] = set()

    def entry(self, key: str) -> Entry:
        """The entry of a key.

        Raises:
            DefinitionError: the key is missing.
        """
        self._asked.add(key)
        if key not in self._entries:
            raise DefinitionError(self._source, self._line, f"leaving out {key}", f"the key {key}")
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


def read_document(text: str, source: str) -> Section:
    """The mapping that a YAML text holds.

    Raises:
        DefinitionError: the text is not YAML, not a mapping, or gives a key twice.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtraError("yaml", "alarms") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DefinitionError(source, line, str(error.problem), "YAML") from error
    if not isinstance(node, yaml.MappingNode):
        raise DefinitionError(source, 1, "what is no mapping", "keys and values")
    return _section(node, source)


def _section(node: Any, source: str) -> Section:
    entries: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in entries:
            raise DefinitionError(source, line, f"giving {key} twice", "each key once")
        entries[key] = Entry(key, _value(value_node, source), source, line)
    return Section(entries, source, node.start_mark.line + 1)


def _value(node: Any, source: str) -> Any:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _section(node, source)
    return yaml.SafeLoader("").construct_object(node, deep=True)
