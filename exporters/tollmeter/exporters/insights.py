"""Saves the queries for CloudWatch Logs Insights in an account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tollmeter.exporters.aws import client
from tollmeter.model.insights import queries

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

PREFIX: Final = "tollmeter/"
"""Folder of the saved queries in the console."""


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
