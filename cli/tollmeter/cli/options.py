"""Options and printing that all commands share."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of all state.", envvar="TOLLMETER_HOME", show_default="~/.tollmeter"),
]
OverlayOption = Annotated[
    Path | None,
    typer.Option("--overlay", help="Overlay file, YAML or JSON.", show_default="the setting price_overlay"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines instead of text.")]

console = Console()
errors = Console(stderr=True)


def print_json(document: object) -> None:
    """Print one JSON document; Decimal as text (never a float), times as ISO 8601."""
    json.dump(document, sys.stdout, default=_plain, ensure_ascii=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)
