"""The answer of `tollmeter prices lookup`: prices, why they hold, and what a usage costs by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import structs
from rich.table import Table

from tollmeter.cli.options import console
from tollmeter.model.errors import SettingError
from tollmeter.pricing import Cost, Usage
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.call import cost_columns
from tollmeter.pricing.explain import Reason
from tollmeter.pricing.quote import Quote, split_price
from tollmeter.pricing.rates import Item

_TOKENS: Final = "_tokens"
_FIELDS: Final = {
    field.name.removesuffix(_TOKENS): field.name for field in structs.fields(Usage) if field.name.endswith(_TOKENS)
}
_UNITS: Final = {
    "mtok": "million tokens",
    "kcount": "thousand",
    "hours": "hour",
    "mchars": "million characters",
    "kpages": "thousand pages",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Everything there is to say about one look-up."""

    provider: str
    model: str
    at: datetime
    quote: Quote
    reasons: list[Reason]
    cost: Cost | None = None
    items: list[Item]

    def document(self) -> dict[str, Any]:
        """The answer for machines."""
        document: dict[str, Any] = {
            "provider": self.provider,
            "model": self.model,
            "at": self.at,
            "price_ref": self.quote.ref,
            "approximate": self.quote.approximate,
            "prices": self.quote.prices,
            "fees_usd_per_use": {tool: fee.usd_per_use for tool, fee in self.quote.fees.items()},
            "why": [reason._asdict() for reason in self.reasons],
        }
        if self.cost is not None:
            lines = [item._asdict() | {"usd": item.usd} for item in self.items]
            document["cost"] = cost_columns(self.cost) | {"lines": lines}
        return document


def look_up(book: PriceBook, provider: str, model: str, usage: str, *, at: datetime, **call: str) -> Answer | None:
    """Ask a book; None where it knows no price.

    Raises:
        SettingError: the usage is not written as it must be.
    """
    counted = parse_usage(usage) if usage else None
    quote = book.quote(provider, model, at=at, **call)
    rates = book.rates(provider, model, at=at, **call)
    if quote is None or rates is None:
        return None
    cost = rates.cost(counted) if counted else None
    items = rates.items(counted) if counted and cost and cost.cost_usd is not None else []
    reasons = book.explain(provider, model, at=at, **call)
    return Answer(provider=provider, model=model, at=at, quote=quote, reasons=reasons, cost=cost, items=items)


def parse_usage(text: str) -> Usage:
    """A usage as people write it: counts of tokens by class, and of uses by tool.

    Raises:
        SettingError: a count is no whole number.

    >>> parse_usage("input=1_000,output=20,web_search=2").server_tool_calls
    {'web_search': 2}
    """
    tokens: dict[str, int] = {"input_tokens": 0, "output_tokens": 0}
    tools: dict[str, int] = {}
    for part in text.split(","):
        name, _, count = (piece.strip() for piece in part.partition("="))
        if not name or not count.replace("_", "").isdecimal():
            allowed = f"NAME=COUNT with commas between, of {', '.join(_FIELDS)} or a tool such as web_search"
            raise SettingError("--usage", part, allowed)
        if name in _FIELDS:
            tokens[_FIELDS[name]] = int(count)
        else:
            tools[name] = int(count)
    counted: Any = tokens
    return Usage(**counted, server_tool_calls=tools)


def print_answer(answer: Answer) -> None:
    """The answer for people."""
    title = f"[bold]{answer.model}[/] at {answer.provider} on {answer.at:%Y-%m-%d}: {answer.quote.ref}"
    console.print(title, highlight=False, soft_wrap=True)
    if answer.quote.committed:
        console.print("Paid by the hour; no call is priced by its tokens.")
    _print_prices(answer.quote)
    console.print("\nwhy", style="bold")
    for reason in answer.reasons:
        mark = "[green]counts[/] " if reason.taken else "[dim]does not[/]"
        console.print(f"  {mark}  {reason.layer}: {reason.ref}: {reason.why}", highlight=False, soft_wrap=True)
    if answer.cost is not None:
        _print_cost(answer.cost, answer.items)


def _print_prices(quote: Quote) -> None:
    table = Table("class", "USD", "above", box=None)
    for key, value in sorted(quote.prices.items()):
        base, tiers = split_price(value)
        table.add_row(_label(key), base, "")
        for start, step in tiers:
            table.add_row("", step, f"{start:,} input tokens")
    for tool, fee in sorted(quote.fees.items()):
        table.add_row(f"{tool} / use", f"{fee.usd_per_use:f}", "")
    console.print(table)


def _print_cost(cost: Cost, items: list[Item]) -> None:
    table = Table("\ncost", "\ncount", "\nUSD each", "\nUSD", box=None)
    for item in items:
        table.add_row(
            _label(item.what).partition(" / ")[0], f"{item.quantity:,}", f"{item.usd_each:f}", f"{item.usd:f}"
        )
    table.add_row(
        f"[bold]total[/], {cost.status}", "", "", "unknown" if cost.cost_usd is None else _plain(cost.cost_usd)
    )
    console.print(table)
    if cost.cache_savings_usd:
        console.print(f"The cache saved {_plain(cost.cache_savings_usd)} USD.")


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _label(key: str) -> str:
    name, _, unit = key.rpartition("_")
    return f"{name.replace('_', ' ')} / {_UNITS[unit]}" if unit in _UNITS else key
