"""`tollmeter prices`: what a model costs on a date, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.options import JsonOption, console, print_json
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.names import PROVIDER_OPENAI

if TYPE_CHECKING:
    from tollmeter.pricing.book import PriceBook
    from tollmeter.pricing.quote import Prices
    from tollmeter.pricing.table import Model

prices = typer.Typer(help="Look up the prices that calls are priced by.", no_args_is_help=True)

ProviderOption = Annotated[str, typer.Option("--provider", help="Provider, such as openai, aws.bedrock or gcp.gemini.")]


@prices.command()
def lookup(
    model: Annotated[str, typer.Argument(help="Model, by any name a provider or gateway gives it.")],
    provider: ProviderOption = PROVIDER_OPENAI,
    at: Annotated[datetime | None, typer.Option(help="Date of the call, UTC.", show_default="now")] = None,
    tier: Annotated[str, typer.Option(help="Tier that served the call: batch, flex, priority.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the price of one model on a date, and the row it comes from.

    Prices are in USD per million tokens, or per thousand searches and requests. A price that depends on the size of the
    input is shown with its thresholds; above one, the whole request costs the higher price.

    Examples:

        tollmeter prices lookup gpt-4o

        tollmeter prices lookup o3 --at 2025-06-01

        tollmeter prices lookup us.anthropic.claude-sonnet-4-5-20250929-v1:0 --provider aws.bedrock --json
    """  # noqa: D412
    from tollmeter.pricing.book import default_book

    book = default_book()
    moment = (at or datetime.now(UTC)).replace(tzinfo=UTC)
    quote = book.quote(provider, model, at=moment, service_tier=tier)
    if quote is None:
        raise UnknownNameError(f"price at {provider}", model, _near(book, provider))
    if as_json:
        print_json({"provider": provider, "model": model, "at": moment, "price_ref": quote.ref, "prices": quote.prices})
        return
    console.print(f"[bold]{model}[/] at {provider} on {moment:%Y-%m-%d}: {quote.ref}", highlight=False)
    _print_prices(quote.prices)


@prices.command("list")
def list_prices(
    provider: Annotated[str, typer.Option("--provider", help="Only this provider.", show_default="all")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the models that have a price, one per line: provider, model, the days from which its prices hold.

    Examples:

        tollmeter prices list

        tollmeter prices list --provider anthropic --json
    """  # noqa: D412
    from tollmeter.pricing.book import default_book

    book = default_book()
    chosen = book.provider(provider) if provider else None
    if provider and chosen is None:
        raise UnknownNameError("provider", provider, book.providers)
    listed = [chosen] if chosen else list(book.providers.values())
    rows = [(each.id, model) for each in listed for model in each.models]
    if as_json:
        models = [{"provider": name, "model": model.id, "since": _since(model)} for name, model in rows]
        print_json({"source": book.source, "models": models})
        return
    for name, model in rows:
        print(f"{name}\t{model.id}\t{' '.join(_since(model))}".rstrip())


def _since(model: Model) -> list[str]:
    return [row.since.isoformat() for row in model.rows if row.since]


def _near(book: PriceBook, provider: str) -> list[str]:
    found = book.provider(provider)
    return [model.id for model in found.models] if found else [f"{name}/…" for name in book.providers]


def _print_prices(known: Prices) -> None:
    from rich.table import Table

    from tollmeter.pricing.quote import split_price

    table = Table("class", "USD", "above", box=None)
    for key, value in sorted(known.items()):
        base, tiers = split_price(value)
        table.add_row(_label(key), base, "")
        for start, step in tiers:
            table.add_row("", step, f"{start:,} input tokens")
    console.print(table)


def _label(key: str) -> str:
    name, _, unit = key.rpartition("_")
    return f"{name.replace('_', ' ')} / {_UNITS.get(unit, unit)}"


_UNITS = {
    "mtok": "million tokens",
    "kcount": "thousand",
    "hours": "hour",
    "mchars": "million characters",
    "kpages": "thousand pages",
}
