"""The one folder that holds all state: `spool/`, `raw/`, `lake/` and `state/`; the lake may stand elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tollmeter.model.settings import Settings


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where the lake of a home stands and how it is reached; all empty means below the home.

    `url` is a folder or `s3://bucket/prefix`, `catalog` one of auto, sqlite, glue, `database` the Glue database. The
    rest is for AWS: region, endpoint, KMS key of what is written, role that is assumed.
    """

    url: str = ""
    catalog: str = "auto"
    database: str = "tollmeter"
    region: str = ""
    endpoint: str = ""
    kms_key: str = ""
    role_arn: str = ""

    @classmethod
    def of(cls, settings: Settings) -> LakePlace:
        """The place that settings name."""
        return cls(
            url=settings.lake_url,
            catalog=settings.catalog,
            database=settings.glue_database,
            region=settings.region,
            endpoint=settings.endpoint_url,
            kms_key=settings.kms_key,
            role_arn=settings.role_arn,
        )


@dataclass(frozen=True, slots=True)
class Home:
    """The folders below one home, and the place of its lake; nothing is created until it is asked for."""

    path: Path
    place: LakePlace = LakePlace()

    @classmethod
    def resolve(cls, path: str | os.PathLike[str] | None = None, settings: Settings | None = None) -> Home:
        """The home named by argument, else `TOLLMETER_HOME`, else `~/.tollmeter`; its lake is where the settings say.

        Raises:
            SettingError: a setting has a value that is not allowed.
        """
        chosen = path or os.environ.get("TOLLMETER_HOME") or "~/.tollmeter"
        return cls(Path(chosen).expanduser().absolute(), LakePlace.of(settings or Settings.load()))

    @property
    def spool(self) -> Path:
        """Where services append, one folder per service."""
        return self.path / "spool"

    @property
    def raw(self) -> Path:
        """Where the forwarder uploads, by hour of upload."""
        return self.path / "raw"

    @property
    def lake(self) -> Path:
        """The folder of an embedded lake: the Iceberg warehouse and its SQLite catalog."""
        return self.path / "lake"

    @property
    def state(self) -> Path:
        """Cursors, locks and what else is remembered between runs."""
        return self.path / "state"
