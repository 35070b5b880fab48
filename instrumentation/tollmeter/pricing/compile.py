"""Compiles genai-prices into the table that ships with Tollmeter; for developers, never at run time.

Run `tollmeter prices build` after a new genai-prices was installed, and commit the changed table. The output is
deterministic, one model per line in the order the rules are tried, so that a price change reads as a diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from tollmeter.model.errors import DataError, MissingExtraError
from tollmeter.pricing.units import NEVER_REPORTED, UNCOUNTED, UNITS

SOURCE = "genai-prices"


def compile_table() -> bytes:
    """The table as JSON, from the installed genai-prices.

    Raises:
        MissingExtraError: genai-prices is not installed.
        DataError: it prices a unit or uses a rule that this version does not know.
    """
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ModuleNotFoundError as error:
        raise MissingExtraError("genai-prices", "dev") from error
    providers = get_snapshot().providers
    head = json.dumps({"source": SOURCE, "version": version(SOURCE)})[1:-1]
    blocks = ",\n".join(_provider(provider) for provider in sorted(providers, key=lambda provider: provider.id))
    return f'{{{head}, "providers": [\n{blocks}\n]}}\n'.encode()


def _provider(provider: Any) -> str:
    rule = provider.provider_match
    head = {
        "id": provider.id,
        "match": _rule(rule) if rule else None,
        "fallback": provider.fallback_model_providers or [],
    }
    models = ",\n".join(json.dumps(_model(model), ensure_ascii=False) for model in provider.models)
    return f'{json.dumps(head)[:-1]}, "models": [\n{models}\n]}}'


def _model(model: Any) -> dict[str, Any]:
    conditional = model.prices if isinstance(model.prices, list) else None
    rows = [_row(row) for row in conditional] if conditional is not None else [{"prices": _prices(model.prices)}]
    out: dict[str, Any] = {"id": model.id, "match": _rule(model.match), "rows": rows}
    if model.price_variants:
        out["variants"] = [{"when": variant.when} | _row(variant) for variant in model.price_variants]
    return out


def _row(row: Any) -> dict[str, Any]:
    return _constraint(row.constraint) | {"prices": _prices(row.prices)}


def _constraint(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"since": constraint.start_date.isoformat()}
    return {"between": [_utc(constraint.start_time), _utc(constraint.end_time)]}


def _utc(value: time) -> str:
    if value.tzinfo not in (None, UTC):
        raise DataError(f"time of day {value!r} is not in UTC")
    return value.replace(tzinfo=None).isoformat()


def _prices(prices: Any) -> dict[str, Any]:
    known = {key: value for key, value in vars(prices).items() if value is not None}
    strange = known.keys() - UNITS.keys() - UNCOUNTED - NEVER_REPORTED
    if strange:
        raise DataError(f"price keys {sorted(strange)} are not known; add them to tollmeter.pricing.units")
    return {key: _price(known[key]) for key in sorted(known)}


def _price(value: Any) -> str | list[Any]:
    if isinstance(value, Decimal):
        return _text(value)
    return [_text(value.base), *([tier.start, _text(tier.price)] for tier in value.tiers)]


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _rule(rule: Any) -> list[Any]:
    (kind, operand), *more = vars(rule).items()
    if more:
        raise DataError(f"rule {rule!r} has more than one operand")
    kind = kind.rstrip("_")
    if kind in ("or", "and"):
        return [kind, *_rules(operand)]
    return [kind, operand if kind == "regex" else operand.lower()]


def _rules(rules: list[Any]) -> Iterator[list[Any]]:
    return (_rule(rule) for rule in rules)
