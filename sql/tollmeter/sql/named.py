"""Named queries: files of Redshift SQL with a header that tells their name, purpose, parameters and columns.

```
-- name: cost_by_day_model
-- purpose: what each model cost per day
-- param since timestamp = -30d: calls from then on
-- column day date: day of the call, UTC
```

A parameter without `= default` must be given. `-- columns: day, model, calls` names columns in short.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from tollmeter.model.errors import DataError, UnknownNameError, UsageError
from tollmeter.sql.parameters import TYPES, Parameter, Value

_FIELD: Final = re.compile(r"-- (name|purpose): (\S.*)")
_PARAM: Final = re.compile(r"-- param (\w+) ([\w|]+)(?: = (\S*))?: (\S.*)")
_COLUMNS: Final = re.compile(r"-- columns: (\w+(?:, \w+)*)")
_COLUMN: Final = re.compile(r"-- column (\w+) ([\w(),]+): (\S.*)")


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a result; `type` is Redshift's, in lower case, and empty where the header names it in short."""

    name: str
    type: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query file: its header and its text."""

    name: str
    purpose: str
    parameters: tuple[Parameter, ...]
    columns: tuple[ResultColumn, ...]
    sql: str

    def bind(self, given: Mapping[str, object], now: datetime | None = None) -> dict[str, Value]:
        """A value for every parameter: the one given, else the default.

        Raises:
            UnknownNameError: the query has no parameter of that name.
            SettingError: a value is not of the parameter's type.
            UsageError: a parameter without a default was left out.
        """
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise UnknownNameError(f"parameter of {self.name}", name, known)
        moment = now or datetime.now(UTC)
        return {one.name: one.parse(self._given(one, given), moment) for one in self.parameters}

    def parameter_help(self) -> dict[str, str]:
        """Each parameter with its type, default and meaning, in words."""
        return {one.name: one.in_words for one in self.parameters}

    def _given(self, parameter: Parameter, given: Mapping[str, object]) -> object:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            raise UsageError(f"query {self.name} needs parameter {parameter.name}: expected {parameter.allowed}")
        return value


def names() -> list[str]:
    """Names of all queries, sorted."""
    return sorted(_files())


@cache
def load(name: str) -> NamedQuery:
    """The query of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
        DataError: its header cannot be read.
    """
    found = _files()
    if name not in found:
        raise UnknownNameError("query", name, found)
    query = parse(found[name].read_text("utf-8"))
    if query.name != name:
        raise DataError(f"query file {name}.sql is headed name: {query.name}")
    return query


def parse(text: str) -> NamedQuery:
    """A query from the text of its file.

    Raises:
        DataError: a header line is not understood, or name or purpose is missing; the message names the line.
    """
    fields: dict[str, str] = {}
    parameters: list[Parameter] = []
    columns: list[ResultColumn] = []
    for number, line in enumerate(_header(text), start=1):
        if match := _FIELD.fullmatch(line):
            fields[match[1]] = match[2]
        elif match := _PARAM.fullmatch(line):
            parameters.append(_parameter(match, number))
        elif match := _COLUMN.fullmatch(line):
            columns.append(ResultColumn(match[1], match[2], match[3]))
        elif match := _COLUMNS.fullmatch(line):
            columns.extend(ResultColumn(name) for name in match[1].split(", "))
        else:
            raise DataError(f"header line {number} is none of name, purpose, param, column, columns: {line!r}")
    if missing := {"name", "purpose"} - fields.keys():
        raise DataError(f"header lacks {', '.join(sorted(missing))}")
    return NamedQuery(fields["name"], fields["purpose"], tuple(parameters), tuple(columns), text)


def _header(text: str) -> list[str]:
    lines = text.splitlines()
    end = next((index for index, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return [line.rstrip() for line in lines[:end]]


def _parameter(match: re.Match[str], number: int) -> Parameter:
    name, kind, default, description = match.groups()
    if kind not in TYPES and "|" not in kind:
        raise DataError(f"header line {number}: type {kind!r} is none of {', '.join(TYPES)}, or choices such as a|b")
    return Parameter(name, kind, None if default is None else default.strip("'"), description)


@cache
def _files() -> dict[str, Traversable]:
    folder = files("tollmeter.sql") / "queries"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {entry.name.removesuffix(".sql"): entry for entry in found}
