"""The operands and the output of `tollmeter prices diff`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from tollmeter.cli.options import console
from tollmeter.model.errors import SettingError
from tollmeter.pricing.book import PriceBook, open_book
from tollmeter.pricing.compare import Change
from tollmeter.pricing.quote import Price, split_price
from tollmeter.pricing.table import read_table

_SHIPPED = "shipped"


class Operand(NamedTuple):
    """A price book and the time it is asked at."""

    book: PriceBook
    at: datetime


def open_operand(text: str) -> Operand:
    """What `shipped`, or the path of an overlay or a price table means, with `@DATE` after it or without.

    Raises:
        SettingError: it is none of them, or the date is none.
        DefinitionError: the overlay says something that is not allowed.
    """
    name, sign, day = text.rpartition("@") if "@" in text else (text, "", "")
    try:
        at = datetime.fromisoformat(day) if sign else datetime.now(UTC)
        return Operand(_book(name), at if at.tzinfo else at.replace(tzinfo=UTC))
    except (OSError, ValueError) as error:
        allowed = "shipped, or the path of an overlay or a price table, then @ and a date where it is not now"
        raise SettingError("book", text, f"{allowed} ({error})") from error


def _book(name: str) -> PriceBook:
    if name == _SHIPPED:
        return open_book()
    if name.endswith(".json") and b'"providers"' in Path(name).read_bytes():
        return PriceBook(read_table(Path(name)))
    return open_book(name)


def print_changes(changes: list[Change]) -> None:
    """One line for each price that differs, in USD per million tokens or thousand uses."""
    table = Table(box=None)
    for head in ("provider", "model", "tier", "", "class", "old", "new"):
        table.add_column(head, overflow="fold")
    for change in changes:
        for key, (old, new) in change.prices.items():
            named = (change.provider, change.model, change.service_tier, change.kind)
            table.add_row(*named, key, _written(old), _written(new))
    if changes:
        console.print(table)
    kinds = [change.kind for change in changes]
    console.print(", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "removed", "changed")), highlight=False)


def _written(price: Price | None) -> str:
    if price is None:
        return "none"
    base, steps = split_price(price)
    return base + "".join(f", {step} above {start:,}" for start, step in steps)
