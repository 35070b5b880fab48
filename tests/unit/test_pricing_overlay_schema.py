"""The published schema and the reader agree, and the documented example is one that works."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tollmeter.model.errors import DefinitionError
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.overlay_file import parse_overlay
from tollmeter.pricing.overlay_schema import overlay_schema
from tollmeter.pricing.table import read_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"
VALIDATOR: Any = jsonschema.Draft202012Validator(overlay_schema())


def example() -> str:
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def as_json(text: str) -> Any:
    document = yaml.safe_load(text)
    return json.loads(
        json.dumps(document, default=lambda value: value.isoformat() if isinstance(value, date) else value)
    )


def test_the_documented_example_is_read_and_satisfies_the_schema() -> None:
    VALIDATOR.validate(as_json(example()))
    overlay = parse_overlay(example(), "acme.yaml")
    assert [len(getattr(overlay, name)) for name in overlay.__struct_fields__[1:]] == [2, 2, 1, 1, 2, 1]
    assert overlay.commitments[0].usd_per_hour == Decimal("39.60")
    assert parse_overlay(json.dumps(as_json(example())), "acme.json").rows == overlay.rows
    assert PriceBook(read_table(), overlay).commitments == overlay.commitments


def test_every_key_of_the_schema_is_known_to_the_reader_and_the_other_way_round() -> None:
    sections = VALIDATOR.schema["properties"]
    with pytest.raises(DefinitionError) as caught:
        parse_overlay("currency: USD\nx: 1", "a.yaml")
    assert str(caught.value).partition("expected ")[2].split(", ") == sorted(sections)
    for section, schema in sections.items():
        if section == "currency":
            continue
        entry: dict[str, Any] = {"name": "a", "provider": "p", "valid_from": "2026-01-01", "model": "m", "percent": 1}
        entry |= {"tool": "t", "usd_per_use": 1, "resource_id": "r", "usd_per_hour": 1, "prices": {"input_mtok": 1}}
        known = schema["items"]["properties"]
        entry = {key: value for key, value in entry.items() if key in known} | {"x": 1}
        with pytest.raises(DefinitionError) as caught:
            parse_overlay(json.dumps({"currency": "USD", section: [entry]}), "a.json")
        assert str(caught.value).partition("expected ")[2].split(", ") == sorted(known)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"currency": "EUR"},
        {"currency": "USD", "price": []},
        {"currency": "USD", "discounts": [{"name": "a", "provider": "p", "valid_from": "2026-01-01", "percent": 101}]},
        {
            "currency": "USD",
            "fees": [{"name": "a", "provider": "p", "valid_from": "soon", "tool": "t", "usd_per_use": 1}],
        },
    ],
)
def test_both_refuse(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)
    with pytest.raises(DefinitionError):
        parse_overlay(json.dumps(wrong), "a.json")
