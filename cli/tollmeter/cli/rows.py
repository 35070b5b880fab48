"""Rows as text: aligned columns, CSV or JSON; numbers as exact as they came."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import typer

from tollmeter.cli.options import print_json

FORMATS: Final = ("table", "json", "csv")


def write_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows to stdout in one of `FORMATS`; null is an empty cell, and null in JSON."""
    if output == "json":
        print_json(list(rows))
        return
    cells = [[cell(row[column]) for column in columns] for row in rows]
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([columns, *cells])
        return
    for line in aligned(columns, cells, [_is_numeric(rows, column) for column in columns]):
        typer.echo(line)


def cell(value: object) -> str:
    """One value as text: Decimal without exponent, times as ISO 8601, null as nothing.

    >>> cell(Decimal("1E-12"))
    '0.000000000001'
    """
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def aligned(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Lines of a table with a header; nothing is cut, whatever the terminal's width.

    >>> aligned(["model", "calls"], [["a", "12"]], [False, True])
    ['model  calls', '-----  -----', 'a         12']
    """
    lines = [columns, *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    ruled = [columns, ["-" * width for width in widths], *cells]
    return [_line(line, widths, right) for line in ruled]


def _line(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        text.rjust(width) if is_right else text.ljust(width)
        for text, width, is_right in zip(line, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return any(isinstance(row[column], int | float | Decimal) for row in rows)
