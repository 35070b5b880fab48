"""All commands in one place; each stands in the file of its name."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="tollmeter",
    help="Meter every token: observability and cost for LLM services on AWS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
