"""Pages generated from the registries; `make golden` rewrites them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tollmeter.etl.importing.page import imports_page
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import DERIVED_TABLES
from tollmeter.model.names import EVENT_TABLES
from tollmeter.model.reference import PAGES
from tollmeter.pricing.overlay_schema import SCHEMA_FILE, overlay_schema
from tollmeter.sql.ddl import native_table

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
SCHEMAS = Path(__file__).parent / "schemas"


def held(path: Path, text: str) -> None:
    if os.environ.get("TOLLMETER_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), "run: make golden"
    assert path.read_text() == text, "run: make golden, and review the diff"


@pytest.mark.parametrize("page", PAGES)
def test_reference_page(page: str) -> None:
    held(REFERENCE / page, PAGES[page]())


def test_imports_page() -> None:
    held(REFERENCE.parent / "imports.md", imports_page())


def test_overlay_schema() -> None:
    held(REFERENCE / SCHEMA_FILE, json.dumps(overlay_schema(), indent=1) + "\n")


@pytest.mark.parametrize("table", [*EVENT_TABLES, *DERIVED_TABLES])
def test_arrow_schema(table: str) -> None:
    held(SCHEMAS / f"{table}.txt", arrow_schema(table).to_string() + "\n")


@pytest.mark.parametrize("table", [*EVENT_TABLES, *DERIVED_TABLES])
def test_redshift_ddl(table: str) -> None:
    held(SCHEMAS / "redshift" / f"{table}.sql", native_table(table, '"tollmeter_native"') + "\n")
