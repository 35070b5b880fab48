"""Statements that define or move things: files with values in them that nothing can bind.

```
-- name: unload_by_model
-- purpose: calls of some days as Parquet in S3
-- value since day: first day
UNLOAD (… '{since}' …) TO {url}
```

Each `{name}` is a value of the kind its header tells, checked and quoted by `tollmeter.sql.identifiers`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from tollmeter.model.errors import DataError, UnknownNameError, UsageError
from tollmeter.sql.identifiers import KINDS
from tollmeter.sql.placing import split, without_header

_FIELD: Final = re.compile(r"-- (name|purpose): (\S.*)")
_VALUE: Final = re.compile(r"-- value (\w+) (\w+): (\S.*)")
_PLACE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class TemplateValue:
    """One value of a statement: its kind, as `identifiers.KINDS` has them, and its meaning."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class Template:
    """One file of statements: its header and its text."""

    name: str
    purpose: str
    values: tuple[TemplateValue, ...]
    sql: str

    def filled(self, given: Mapping[str, str]) -> list[str]:
        """The statements with their values in place; what is given beyond them is left alone.

        Raises:
            UsageError: a value is missing.
            SettingError: a value is not of its kind.
        """
        for value in self.values:
            if value.name not in given:
                raise UsageError(f"statement {self.name} needs {value.name}: {value.description}")
        spelled = {value.name: KINDS[value.kind](value.name, given[value.name]) for value in self.values}
        # Put in all at once: a value is never looked through for places.
        text = _PLACE.sub(lambda match: spelled[match[1]], without_header(self.sql))
        return split(text)

    def value_help(self) -> dict[str, str]:
        """Each value with its kind and meaning, in words."""
        return {value.name: f"{value.kind}: {value.description}" for value in self.values}


def template_names() -> list[str]:
    """Names of all files of statements, sorted."""
    folder = files("tollmeter.sql") / "statements"
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))


@cache
def template(name: str) -> Template:
    """The statements of that name.

    Raises:
        UnknownNameError: there are none; the message lists near matches.
        DataError: the header cannot be read.
    """
    if name not in template_names():
        raise UnknownNameError("statement", name, template_names())
    return _parsed((files("tollmeter.sql") / "statements" / f"{name}.sql").read_text("utf-8"))


def _parsed(text: str) -> Template:
    fields: dict[str, str] = {}
    values: list[TemplateValue] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _FIELD.fullmatch(line):
            fields[match[1]] = match[2]
        elif match := _VALUE.fullmatch(line):
            values.append(TemplateValue(match[1], match[2], match[3]))
        else:
            raise DataError(f"header line is none of name, purpose, value: {line!r}")
    places = set(_PLACE.findall(without_header(text)))
    if fields.keys() != {"name", "purpose"} or places != {value.name for value in values}:
        raise DataError(f"header of {fields.get('name')} lacks a field, or tells other values than {sorted(places)}")
    return Template(fields["name"], fields["purpose"], tuple(values), text)
