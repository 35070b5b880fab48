"""Queries for CloudWatch Logs Insights over the logs of the cloudwatch_logs and stdout sinks; one file each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from tollmeter.exporters.aws import client
from tollmeter.model.errors import UnknownNameError

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

PREFIX: Final = "tollmeter/"
"""Folder of the saved queries in the console."""

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


def install(settings: Settings, groups: list[str]) -> Iterator[tuple[str, str]]:
    """Save every query in the account, replacing those of the same name; yields name and `created` or `updated`.

    Raises:
        botocore.exceptions.ClientError: CloudWatch refuses.
        MissingExtraError: boto3 is not installed.
    """
    logs = client("logs", settings)
    known = dict(_saved(logs))
    for each in queries():
        name = PREFIX + each.name
        replaced = {"queryDefinitionId": known[name]} if name in known else {}
        logs.put_query_definition(name=name, queryString=each.text, logGroupNames=groups, **replaced)
        yield name, "updated" if replaced else "created"


def _saved(logs: Any) -> Iterator[tuple[str, str]]:
    more: dict[str, str] = {}
    while True:
        page = logs.describe_query_definitions(queryDefinitionNamePrefix=PREFIX, **more)
        yield from ((found["name"], found["queryDefinitionId"]) for found in page.get("queryDefinitions", ()))
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def _parsed(file: str, text: str) -> InsightsQuery:
    comment, _, rest = text.partition("\n")
    return InsightsQuery(file.removesuffix(_SUFFIX), comment.removeprefix("# "), rest.strip())
