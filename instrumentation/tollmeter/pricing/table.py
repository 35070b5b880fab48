"""The compiled price table on disk, and its types."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Final

import msgspec

from tollmeter.pricing.match import Rule
from tollmeter.pricing.quote import Prices

TABLE_PATH: Final = Path(__file__).with_name("prices.json")


class Row(msgspec.Struct, frozen=True):
    """Prices that hold since a day (UTC), or between two times of each day (UTC), or always."""

    prices: Prices
    since: date | None = None
    between: tuple[time, time] | None = None


class Variant(Row, frozen=True, kw_only=True):
    """Prices that replace those of the row where the request's context has these values."""

    when: dict[str, str]


class Model(msgspec.Struct, frozen=True):
    """One model of one provider; of its rows the last that holds counts, of its variants the first."""

    id: str
    match: Rule
    rows: list[Row]
    variants: list[Variant] = []


class Provider(msgspec.Struct, frozen=True):
    """One provider; models it lacks are looked up at its fallbacks, which it resells."""

    id: str
    match: Rule | None
    fallback: list[str]
    models: list[Model]


class Table(msgspec.Struct, frozen=True):
    """All prices, with the source they were compiled from."""

    source: str
    version: str
    providers: list[Provider]


def read_table(path: Path = TABLE_PATH) -> Table:
    """The table that ships with Tollmeter, or another of its format.

    Raises:
        OSError: the file cannot be read.
        msgspec.ValidationError: it is not a price table.
    """
    return msgspec.json.decode(path.read_bytes(), type=Table)
