"""The JSON Schema of an overlay, for editors; `overlay_file` is what decides."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.pricing.overlay_file import MODEL, MOST_NOTE, MOST_PREMIUM, MOST_TOKENS, MOST_USD, NAME, TEXT
from tollmeter.pricing.units import UNITS

SCHEMA_FILE: Final = "price-overlay.schema.json"

_NAME: Final = {
    "type": "string",
    "pattern": f"^{NAME.pattern}$",
    "description": "unique in the file; price_ref names it",
}
_TEXT: Final = {"type": "string", "pattern": f"^{TEXT.pattern}$"}
_MODEL: Final = _TEXT | {"pattern": f"^{MODEL.pattern}$", "description": "a model, or the start of names and a '*'"}
_NOTE: Final = {"type": "string", "maxLength": MOST_NOTE, "description": "for people: a contract, a source"}
_MOMENT: Final = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$",
    "description": "a day (its first moment in UTC), or a time with its zone",
}


def overlay_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    priced = _mapping({key: _amount(MOST_USD) for key in UNITS}, description="USD per million tokens, or thousand uses")
    percent = {"model": _MODEL, "service_tier": _TEXT, "region": _TEXT}
    sections = {
        "prices": _entries(
            {
                "model": _MODEL,
                "service_tier": _TEXT,
                "region": _TEXT,
                "prices": priced | {"minProperties": 1},
                "above": {
                    "type": "object",
                    "patternProperties": {"^[0-9]+$": priced},
                    "additionalProperties": False,
                    "description": "prices of a whole request whose input is larger than so many tokens",
                },
            },
            "model",
            "prices",
        ),
        "discounts": _entries(percent | {"percent": _amount(100)}, "percent"),
        "premiums": _entries(percent | {"percent": _amount(MOST_PREMIUM)}, "percent"),
        "fees": _entries(
            {"model": _MODEL, "region": _TEXT, "tool": _NAME | {"description": "web_search, code_interpreter, …"}}
            | {"usd_per_use": _amount(MOST_USD)},
            "tool",
            "usd_per_use",
        ),
        "resources": _entries({"resource_id": _TEXT, "model": _TEXT}, "resource_id", "model"),
        "commitments": _entries(
            {"resource_id": _TEXT, "model": _TEXT, "usd_per_hour": _amount(MOST_USD)}
            | {"tokens_per_minute": {"type": "integer", "minimum": 1, "maximum": MOST_TOKENS}},
            "resource_id",
            "usd_per_hour",
        ),
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tollmeter price overlay"}
    return head | _mapping({"currency": {"const": "USD"}} | sections, "currency")


def _entries(own: dict[str, Any], *required: str) -> dict[str, Any]:
    common = {"name": _NAME, "provider": _TEXT, "valid_from": _MOMENT, "valid_until": _MOMENT, "note": _NOTE}
    return {"type": "array", "items": _mapping(common | own, "name", "provider", "valid_from", *required)}


def _mapping(properties: dict[str, Any], *required: str, **more: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return schema | more


def _amount(most: int) -> dict[str, Any]:
    return {"anyOf": [{"type": "number", "minimum": 0, "maximum": most}, {"type": "string", "pattern": r"^[0-9.]+$"}]}
