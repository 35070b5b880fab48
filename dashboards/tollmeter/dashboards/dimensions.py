"""Every dimension of the dashboard once: its name in the address, its label, its column, and what carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.model.derived import DERIVED_COLUMNS, ROLLUP_TABLES

NOT_SET: Final = "(not set)"
"""How an empty value reads: calls that carry no tenant, team, … are shown under it, never left out."""
UNGROUPED: Final = "none"
"""What the address says where nothing is grouped by."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What calls are grouped and filtered by: `name` in the address, `column` of `llm_calls` and of the rollups."""

    name: str
    label: str
    plural: str
    column: str

    @property
    def tables(self) -> frozenset[str]:
        """The rollups that carry the column; rows carry all.

        >>> sorted(dimension("tenant").tables)
        ['rollup_sessions_daily', 'rollup_spend_daily']
        """
        return _CARRIED.get(self.column, frozenset())

    def text(self, value: str) -> str:
        """A value as the page shows it.

        >>> dimension("team").text("")
        '(not set)'
        """
        return value or NOT_SET


_CARRIED: Final = {
    column.name: frozenset(column.tables) & frozenset(ROLLUP_TABLES) for column in DERIVED_COLUMNS
}  # fmt: skip

# `model` is the model that answered, else the one asked for: a column of the rollups and of the view llm_requests.
_ALL: Final = (
    Dimension("model", "Model", "models", "model"),
    Dimension("request_model", "Requested model", "requested models", "request_model"),
    Dimension("provider", "Provider", "providers", "provider"),
    Dimension("service", "Service", "services", "service"),
    Dimension("environment", "Environment", "environments", "environment"),
    Dimension("version", "Version", "versions", "version"),
    Dimension("region", "Region", "regions", "region"),
    Dimension("route", "Route", "routes", "route"),
    Dimension("tenant", "Tenant", "tenants", "tenant_id"),
    Dimension("team", "Team", "teams", "team"),
    Dimension("feature", "Feature", "features", "feature"),
    Dimension("user", "User", "users", "user_id"),
    Dimension("session", "Session", "sessions", "session_id"),
    Dimension("prompt", "Prompt", "prompts", "prompt_name"),
    Dimension("prompt_version", "Prompt version", "prompt versions", "prompt_version"),
    Dimension("experiment", "Experiment", "experiments", "experiment"),
    Dimension("variant", "Variant", "variants", "variant"),
    Dimension("status", "Status", "statuses", "status"),
    Dimension("error_type", "Error type", "error types", "error_type"),
    Dimension("stream", "Streaming", "kinds of streaming", "stream"),
)

DIMENSIONS: Final = {one.name: one for one in _ALL}
DEFAULT_GROUP: Final = "model"
GROUPS: Final = tuple(name for name in DIMENSIONS if name != "session")
"""What charts may be grouped by: a session is looked at on its own page, not beside a million others."""


def dimension(name: str) -> Dimension:
    """The dimension of that name in the address.

    Raises:
        KeyError: there is none.
    """
    return DIMENSIONS[name]
