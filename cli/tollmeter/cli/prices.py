"""`tollmeter prices`: what a model costs on a date and why, what changed, and whether an overlay holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollmeter.cli.options import HomeOption, JsonOption, OverlayOption, console, errors, print_json
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.home import Home
from tollmeter.model.names import PROVIDER_OPENAI

if TYPE_CHECKING:
    from tollmeter.pricing.book import PriceBook
    from tollmeter.pricing.check import Finding
    from tollmeter.pricing.table import Model

prices = typer.Typer(help="Look up, compare and check the prices that calls are priced by.", no_args_is_help=True)

ProviderOption = Annotated[str, typer.Option("--provider", help="Provider, such as openai, aws.bedrock or gcp.gemini.")]
AtOption = Annotated[datetime | None, typer.Option(help="Date of the call, UTC.", show_default="now")]


@prices.command()
def lookup(
    model: Annotated[str, typer.Argument(help="Model, by any name a provider or gateway gives it.")],
    *,
    provider: ProviderOption = PROVIDER_OPENAI,
    at: AtOption = None,
    tier: Annotated[str, typer.Option(help="Tier that served the call: batch, flex, priority.")] = "",
    region: Annotated[str, typer.Option(help="Region or geography of the inference, such as us or eu-west-1.")] = "",
    resource: Annotated[str, typer.Option(help="Deployment, or ARN of an inference profile.")] = "",
    usage: Annotated[str, typer.Option(help="Show what this costs: input=1000,output=200,web_search=1.")] = "",
    overlay: OverlayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the price of one model on a date, the row it comes from, and why that one.

    Prices are in USD per million tokens, or per thousand searches and requests. A price that depends on the size of the
    input is shown with its thresholds; above one, the whole request costs the higher price. Under "why" stand all rows
    that have to do with the call: what an overlay says beats the shipped table, an exact name beats the start of one,
    and of rows alike the newest counts that is not later than the call. With --usage the cost is added up line by
    line; counts are inclusive, as in the lake: cache_read, cache_write, cache_write_1h and audio are part of input,
    reasoning of output.

    Examples:

        tollmeter prices lookup gpt-4o

        tollmeter prices lookup o3 --at 2025-06-01 --usage input=12000,cache_read=9000,output=800

        tollmeter prices lookup us.anthropic.claude-sonnet-4-5-20250929-v1:0 --provider aws.bedrock --tier batch

        tollmeter prices lookup chat-prod --provider azure.ai.openai --overlay acme.yaml --json
    """  # noqa: D412
    from tollmeter.cli.prices_lookup import look_up, print_answer

    book = _open(overlay)
    moment = (at or datetime.now(UTC)).replace(tzinfo=UTC)
    answer = look_up(book, provider, model, usage, at=moment, service_tier=tier, resource_id=resource, region=region)
    if answer is None:
        raise UnknownNameError(f"price at {provider}", model, _near(book, provider))
    if as_json:
        print_json(answer.document())
    else:
        print_answer(answer)


@prices.command("list")
def list_prices(
    provider: Annotated[str, typer.Option("--provider", help="Only this provider.", show_default="all")] = "",
    overlay: OverlayOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that have a price, one per line: provider, model, the days from which its prices hold.

    Prices of an overlay follow those of the shipped table.

    Examples:

        tollmeter prices list

        tollmeter prices list --provider anthropic --json
    """  # noqa: D412
    book = _open(overlay)
    chosen = book.provider(provider) if provider else None
    if provider and chosen is None:
        raise UnknownNameError("provider", provider, book.providers)
    listed = [chosen] if chosen else list(book.providers.values())
    models = [(each.id, model.id, _since(model)) for each in listed for model in each.models]
    rows = book.overlay.rows if book.overlay else ()
    wanted = [row for row in rows if chosen is None or chosen.id == row.provider]
    models += [(row.provider, row.model, [f"{row.valid_from:%Y-%m-%d}"]) for row in wanted]
    if as_json:
        keys = ("provider", "model", "since")
        print_json({"source": book.source, "models": [dict(zip(keys, model, strict=True)) for model in models]})
        return
    for name, model, since in models:
        print(f"{name}\t{model}\t{' '.join(since)}".rstrip())


@prices.command()
def check(
    *,
    overlay: OverlayOption = None,
    home: HomeOption = None,
    since: Annotated[str, typer.Option(help="First day of the calls looked at, such as 2026-11-01.")] = "-30d",
    as_json: JsonOption = False,
) -> None:
    """Check an overlay and the prices of calls in the lake: what is not allowed (exit 2), what needs doing (exit 1).

    What is not allowed is answered with its line, the value and what is allowed. Findings are providers nobody knows,
    discounts on models without a price, and deployments whose model has none; and, where the home has a lake, models
    whose calls have no price, are priced as standard for want of a price of their tier, or are priced by a row that is
    not the one of today. Each says what to do.

    Examples:

        tollmeter prices check --overlay acme.yaml

        tollmeter prices check --since -7d --json | jq .models
    """  # noqa: D412
    from tollmeter.cli.prices_seen import findings_of, models_in_lake
    from tollmeter.pricing.check import check_overlay

    book = _open(overlay)
    models = models_in_lake(Home.resolve(home), book, since)
    findings = [*check_overlay(book), *(finding for model in models for finding in findings_of(model))]
    _report(book, findings, [model.document() for model in models], as_json=as_json)


@prices.command()
def diff(
    old: Annotated[str, typer.Argument(help="shipped, an overlay or a table file; with @DATE, at that date.")],
    new: Annotated[str, typer.Argument(help="As OLD.")],
    as_json: JsonOption = False,
) -> None:
    """Show which prices differ between two books, or in one book at two dates; exit 1 if any do.

    A book is `shipped`, the path of an overlay (laid over the shipped table), or the path of a price table such as the
    prices.json of another version. Without @DATE the prices of now are compared.

    Examples:

        tollmeter prices diff shipped acme.yaml

        tollmeter prices diff shipped@2025-06-01 shipped@2025-07-01

        tollmeter prices diff old/prices.json shipped --json
    """  # noqa: D412
    from tollmeter.cli.prices_diff import open_operand, print_changes
    from tollmeter.pricing.compare import compare

    before, after = open_operand(old), open_operand(new)
    changes = list(compare(before.book, after.book, before.at, after.at))
    if as_json:
        print_json({"old": old, "new": new, "changes": [change._asdict() for change in changes]})
    else:
        print_changes(changes)
    raise typer.Exit(1 if changes else 0)


@prices.command()
def build(
    out: Annotated[Path | None, typer.Option(help="Where to write the table.", show_default="the shipped one")] = None,
    only_check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if it would change.")] = False,
) -> None:
    """Compile the installed genai-prices into the shipped price table (for developers of Tollmeter).

    The output is deterministic, one model per line, so that a price change reads as a diff.

    Examples:

        tollmeter prices build --check
    """  # noqa: D412
    from tollmeter.pricing.compile import compile_table
    from tollmeter.pricing.table import TABLE_PATH

    path, table = out or TABLE_PATH, compile_table()
    if only_check:
        same = path.is_file() and path.read_bytes() == table
        errors.print(f"{path.name} is {'what' if same else 'not what'} the installed genai-prices compiles to")
        raise typer.Exit(0 if same else 1)
    path.write_bytes(table)
    errors.print(f"wrote {path}: {len(table):,} bytes")


def _open(overlay: Path | None) -> PriceBook:
    from tollmeter.model.settings import Settings
    from tollmeter.pricing.book import open_book

    return open_book(overlay or Settings.load().price_overlay)


def _report(book: PriceBook, findings: list[Finding], models: list[dict[str, Any]], *, as_json: bool) -> None:
    entries = len(book.overlay.entries()) if book.overlay else 0
    name = book.overlay.source if book.overlay else ""
    if as_json:
        listed = [finding._asdict() for finding in findings]
        print_json({"table": book.source, "overlay": name, "entries": entries, "findings": listed, "models": models})
    else:
        for finding in findings:
            console.print(f"[yellow]{finding.where}[/]: {finding.what}", highlight=False, soft_wrap=True)
        seen = f"; {len(models)} models in the lake" if models else ""
        laid = f"{entries} entries of {name} over " if name else "no overlay; "
        console.print(f"{laid}{book.source}{seen}: {len(findings)} findings", highlight=False)
    raise typer.Exit(1 if findings else 0)


def _since(model: Model) -> list[str]:
    return [row.since.isoformat() for row in model.rows if row.since]


def _near(book: PriceBook, provider: str) -> list[str]:
    found = book.provider(provider)
    return [model.id for model in found.models] if found else [f"{name}/…" for name in book.providers]
