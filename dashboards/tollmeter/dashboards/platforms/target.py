"""For whom a board is rendered: the service and environment it watches, and the names that settings give."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import SettingError
from tollmeter.model.metric_names import NAMESPACE, Preset, preset

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

DOCS: Final = "https://github.com/tollmeter/tollmeter/blob/main/docs/platform-dashboards.md"
_UNSEARCHABLE: Final = frozenset("'\"\\")


@dataclass(frozen=True, slots=True)
class Target:
    """What a board is rendered for; an empty service or environment is chosen on the board.

    Args:
        service: the service.
        environment: the environment.
        namespace: CloudWatch's, of the metrics.
        region: of CloudWatch's metrics and logs.
        log_group: template of the log group, `{service}` in it.
        names: the preset whose further names are shown too.
        deployed: time and label of deployments to mark.

    Raises:
        SettingError: a value holds a quote or a backslash, which no search can hold.
    """

    service: str = ""
    environment: str = ""
    namespace: str = NAMESPACE
    region: str = ""
    log_group: str = "/tollmeter/{service}"
    names: Preset | None = None
    deployed: tuple[tuple[datetime, str], ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("service", "environment", "namespace", "log_group"):
            value = getattr(self, name)
            if _UNSEARCHABLE & set(value):
                raise SettingError(name, value, "text without quotes and backslashes, which no search can hold")

    @classmethod
    def of(cls, settings: Settings, *, deployed: tuple[tuple[datetime, str], ...] = ()) -> Target:
        """What the settings name.

        Raises:
            SettingError: a value holds a quote or a backslash.
            UnknownNameError: there is no such metric preset.
        """
        return cls(
            settings.service,
            settings.environment,
            settings.cloudwatch_namespace,
            settings.region,
            settings.cloudwatch_log_group,
            preset(settings.metric_preset),
            deployed,
        )

    def named(self, board: str) -> str:
        """The dashboard's name: of letters, digits, `-` and `_` alone, as CloudWatch wants it."""
        parts = ["tollmeter", board, self.service, self.environment]
        text = "-".join(part for part in parts if part)
        return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in text)[:255]
