"""Reads an overlay file, YAML or JSON; every slip is answered with file, line, value and what is allowed."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tollmeter.model.document import Entry, Section, read_document
from tollmeter.model.errors import DefinitionError
from tollmeter.pricing.names import PLAIN_TIERS, provider_id
from tollmeter.pricing.overlay import Adjustment, Commitment, Dated, Fee, Overlay, PriceRow, Resource
from tollmeter.pricing.quote import Price, Prices
from tollmeter.pricing.units import UNITS

EXTRA: Final = "overlay"
PRICE_PLACES: Final = 12
PERCENT_PLACES: Final = 4

MOST_USD: Final = 1_000_000
MOST_TOKENS: Final = 1_000_000_000_000
MOST_PREMIUM: Final = 1000
MOST_NOTE: Final = 512
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT: Final = re.compile(r"[\x21-\x7e]{1,256}")
MODEL: Final = re.compile(r"[^\s*]{1,255}\*?")
_NAME_ALLOWED: Final = "1 to 64 of letters, digits, '.', '_' and '-'"
_TEXT_ALLOWED: Final = "1 to 256 printable characters without spaces"
_MODEL_ALLOWED: Final = "a model's name, or the start of names and a '*'"


def read_overlay(path: Path) -> Overlay:
    """The overlay in a file.

    Raises:
        DefinitionError: the file says something that is not allowed, or is not YAML or JSON in UTF-8.
        MissingExtraError: the file is YAML and PyYAML is not installed.
        OSError: the file cannot be read.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DefinitionError(path.name, 1, "what is no UTF-8", "UTF-8 text") from error
    return parse_overlay(text, path.name)


def parse_overlay(text: str, source: str) -> Overlay:
    """The overlay that a text holds; `source` is its file's name, which tells JSON from YAML and stands in `price_ref`.

    Raises:
        DefinitionError: a key is missing, unknown or has a value that is not allowed; the message names the line.
        MissingExtraError: the text is YAML and PyYAML is not installed.

    >>> parse_overlay('{"currency": "USD", "fees": [{"name": "ci", "provider": "openai", "tool": "code_interpreter", '
    ...     '"usd_per_use": 0.03, "valid_from": "2026-01-01"}]}', "acme.json").fees[0].usd_per_use
    Decimal('0.03')
    """
    document = read_document(text, source, extra=EXTRA)
    document.entry("currency").one_of(("USD",))
    names: set[str] = set()
    overlay = Overlay(
        source=source,
        rows=_entries(document, "prices", _row, names),
        discounts=_entries(document, "discounts", _discount, names),
        premiums=_entries(document, "premiums", _premium, names),
        fees=_entries(document, "fees", _fee, names),
        resources=_entries(document, "resources", _resource, names),
        commitments=_entries(document, "commitments", _commitment, names),
    )
    document.refuse_the_rest()
    return overlay


def _entries(document: Section, key: str, read: Any, names: set[str]) -> tuple[Any, ...]:
    listed = document.optional(key)
    found: list[Dated] = []
    seen: dict[object, str] = {}
    for section in listed.sections() if listed else ():
        entry: Dated = read(section)
        section.refuse_the_rest()
        _refuse_twins(section, entry, names, seen)
        found.append(entry)
    return tuple(found)


def _refuse_twins(section: Section, entry: Dated, names: set[str], seen: dict[object, str]) -> None:
    if entry.name in names:
        raise section.entry("name").refused("a name that no other entry of the file has")
    names.add(entry.name)
    fields = ("provider", "model", "service_tier", "region", "tool", "resource_id", "valid_from")
    scope = tuple(
        getattr(entry, field, "") for field in fields if field != "model" or not hasattr(entry, "resource_id")
    )
    if scope in seen:
        raise section.entry("valid_from").refused(
            f"another start than that of {seen[scope]}, which is for the same calls"
        )
    seen[scope] = entry.name


def _dated(section: Section) -> dict[str, Any]:
    start, end = section.entry("valid_from"), section.optional("valid_until")
    valid_from, valid_until = start.moment(), end.moment() if end else None
    if end and valid_until and valid_until <= valid_from:
        raise end.refused("a time after valid_from")
    name = section.entry("name").text(NAME, _NAME_ALLOWED)
    note = section.optional("note")
    text = note.text_up_to(MOST_NOTE) if note else ""
    return {"name": name, "valid_from": valid_from, "valid_until": valid_until, "note": text}


def _text(section: Section, key: str) -> str:
    return section.entry(key).text(TEXT, _TEXT_ALLOWED)


def _scope(section: Section) -> dict[str, Any]:
    region, model = section.optional("region"), section.optional("model")
    return _dated(section) | {
        "provider": provider_id(_text(section, "provider")),
        "model": model.text(MODEL, _MODEL_ALLOWED).lower() if model else "",
        "region": region.text(TEXT, _TEXT_ALLOWED).lower() if region else "",
    }


def _tier(section: Section) -> str:
    found = section.optional("service_tier")
    tier = found.text(TEXT, _TEXT_ALLOWED).lower() if found else ""
    return "" if tier in PLAIN_TIERS else tier


def _row(section: Section) -> PriceRow:
    section.entry("model")
    return PriceRow(**_scope(section), service_tier=_tier(section), prices=_prices(section))


def _discount(section: Section) -> Adjustment:
    percent = section.entry("percent").decimal(0, 100, PERCENT_PLACES)
    return Adjustment(**_scope(section), service_tier=_tier(section), factor=(100 - percent) / 100)


def _premium(section: Section) -> Adjustment:
    percent = section.entry("percent").decimal(0, MOST_PREMIUM, PERCENT_PLACES)
    return Adjustment(**_scope(section), service_tier=_tier(section), factor=(100 + percent) / 100)


def _fee(section: Section) -> Fee:
    tool = section.entry("tool").text(NAME, _NAME_ALLOWED)
    return Fee(**_scope(section), tool=tool, usd_per_use=_usd(section.entry("usd_per_use")))


def _resource(section: Section) -> Resource:
    return Resource(
        **_dated(section),
        provider=_text(section, "provider"),
        resource_id=_text(section, "resource_id"),
        model=_text(section, "model"),
    )


def _commitment(section: Section) -> Commitment:
    model, capacity = section.optional("model"), section.optional("tokens_per_minute")
    return Commitment(
        **_dated(section),
        provider=_text(section, "provider"),
        resource_id=_text(section, "resource_id"),
        usd_per_hour=_usd(section.entry("usd_per_hour")),
        model=_text(section, "model") if model else "",
        tokens_per_minute=capacity.whole_number(1, MOST_TOKENS) if capacity else None,
    )


def _usd(entry: Entry) -> Decimal:
    return entry.decimal(0, MOST_USD, PRICE_PLACES)


def _prices(section: Section) -> Prices:
    stated = {entry.key: _written(entry) for entry in _classes(section.section("prices"))}
    if not stated:
        raise section.entry("prices").refused("at least one price")
    prices: dict[str, Price] = dict(stated)
    above = section.optional("above")
    for start, step in _steps(above):
        for entry in _classes(step):
            if entry.key not in stated:
                raise entry.refused("a class that has a price under prices")
            known = prices[entry.key]
            prices[entry.key] = [*([known] if isinstance(known, str) else known), [start, _written(entry)]]
    return prices


def _classes(section: Section) -> list[Entry]:
    found = list(section)
    for entry in found:
        if entry.key not in UNITS:
            raise DefinitionError(entry.source, entry.line, f"key {entry.key!r}", ", ".join(UNITS))
    return found


def _steps(above: Entry | None) -> list[tuple[int, Section]]:
    if above is None:
        return []
    if not isinstance(above.value, Section):
        raise above.refused("a mapping from numbers of input tokens to prices")
    steps: list[tuple[int, Section]] = []
    for entry in above.value:
        if not entry.key.isdecimal() or not isinstance(entry.value, Section):
            raise DefinitionError(
                entry.source, entry.line, f"above: {entry.key}", "a number of input tokens, then prices"
            )
        steps.append((int(entry.key), entry.value))
    return sorted(steps, key=lambda step: step[0])


def _written(entry: Entry) -> str:
    return f"{_usd(entry).normalize():f}"
