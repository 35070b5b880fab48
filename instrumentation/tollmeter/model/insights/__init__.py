"""Queries for CloudWatch Logs Insights over the logs of the cloudwatch_logs and stdout sinks; one file each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from tollmeter.model.errors import UnknownNameError

_SUFFIX: Final = ".txt"


@dataclass(frozen=True, slots=True)
class InsightsQuery:
    """One query: its name, what it answers, and its text without the comment that says so."""

    name: str
    purpose: str
    text: str


def queries() -> list[InsightsQuery]:
    """All queries, by name."""
    found = [entry for entry in files(__name__).iterdir() if entry.name.endswith(_SUFFIX)]
    return [_parsed(entry.name, entry.read_text()) for entry in sorted(found, key=lambda entry: entry.name)]


def query(name: str) -> InsightsQuery:
    """The query of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
    """
    known = {each.name: each for each in queries()}
    if name not in known:
        raise UnknownNameError("Insights query", name, known)
    return known[name]


def _parsed(file: str, text: str) -> InsightsQuery:
    comment, _, rest = text.partition("\n")
    return InsightsQuery(file.removesuffix(_SUFFIX), comment.removeprefix("# "), rest.strip())
