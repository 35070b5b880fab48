"""Every query and view, written for Redshift, in the dialects of the engines that backfills run on."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

import tollmeter.sql

FOLDER = Path(tollmeter.sql.__file__).parent
FILES = sorted([*(FOLDER / "queries").glob("*.sql"), *(FOLDER / "views").glob("*.sql")])


@pytest.mark.parametrize("dialect", ["athena", "spark"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_said_in_full_and_parses_with_the_same_tables(path: Path, dialect: str) -> None:
    text = path.read_text()
    (told,) = sqlglot.transpile(text, "redshift", dialect, comments=False, unsupported_level=ErrorLevel.RAISE)
    again, original = sqlglot.parse_one(told, read=dialect), sqlglot.parse_one(text, read="redshift")
    assert not list(again.find_all(exp.Command))
    names = [{table.name for table in tree.find_all(exp.Table)} for tree in (again, original)]
    assert names[0] == names[1]
