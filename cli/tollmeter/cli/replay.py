"""`tollmeter replay`: a published trace through an instrumented service, over real HTTP."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.progress import progress_counter
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.cli.sample.session import Replayed

DEFAULT_CONCURRENCY = 16


class Rate(StrEnum):
    """How fast rows are sent."""

    MAX = "max"
    REAL = "real"


class Mode(StrEnum):
    """How the service is instrumented."""

    AUTO = "auto"
    LEAN = "lean"
    OTEL = "otel"


def replay(
    trace: Annotated[Path, typer.Argument(help="An Azure LLM inference trace (CSV) or a Mooncake trace (JSON lines).")],
    *,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Only the first N rows.", show_default="all")
    ] = None,
    rate: Annotated[
        Rate, typer.Option("--rate", help="max: as fast as answers come; real: the trace's pace.")
    ] = Rate.MAX,
    mode: Annotated[Mode, typer.Option("--mode", help="How the service is instrumented.")] = Mode.AUTO,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=512, help="Requests under way at a time.")
    ] = DEFAULT_CONCURRENCY,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a published trace through an instrumented FastAPI service, and forward its events.

    Every row becomes one real HTTP request to a sample service, which asks a loopback OpenAI-compatible upstream
    through the real `openai` SDK; every second call is streamed. The upstream answers with the row's token counts.
    What the trace does not hold (model, route, latency, tenant, user) is made up, and every event says so in its tag
    `tollmeter.simulated`. Nothing leaves this machine. Times are those of the replay. Exits 1 when a row failed.

    ```
    tollmeter replay AzureLLMInferenceTrace_conv.csv --rows 2000
    tollmeter replay conversation_trace.jsonl --rate real --mode otel
    tollmeter etl run && tollmeter query overview       # then look
    ```
    """  # fmt: skip
    from tollmeter.cli.sample.session import replay as run_replay
    from tollmeter.cli.sample.session import source_name
    from tollmeter.cli.sample.traces import read_trace

    chosen = read_trace(trace, rows)
    with progress_counter("rows", len(chosen)) as progress:
        done = run_replay(
            Home.resolve(home), chosen, source_name(trace), mode=mode.value, concurrency=concurrency,
            real_time=rate is Rate.REAL, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(document_of(done))
    else:
        for line in lines_of(done):
            typer.echo(line)
    if done.outcome.errors:
        raise typer.Exit(1)


def document_of(done: Replayed) -> dict[str, Any]:
    """A replay for machines."""
    sent, shipped = done.outcome, done.forwarded
    return {
        "rows": sent.rows,
        "streamed": sent.streamed,
        "input_tokens": sent.input_tokens,
        "output_tokens": sent.output_tokens,
        "cached_tokens": sent.cached_tokens,
        "errors": dict(sent.errors),
        "seconds": round(sent.seconds, 3),
        "mode": done.mode,
        "simulated": done.simulated.split(","),
        "forwarded": dict(shipped.counts) if shipped else None,
    }


def lines_of(done: Replayed) -> list[str]:
    """A replay for people."""
    sent = done.outcome
    told = [
        f"{sent.rows:,} rows answered in full ({sent.streamed:,} streamed) in {sent.seconds:.1f} s",
        f"  {sent.input_tokens:>12,}  input tokens, {sent.cached_tokens:,} of them cached",
        f"  {sent.output_tokens:>12,}  output tokens",
    ]
    told += [f"  {count:>12,}  failed: {problem}" for problem, count in sent.errors.items()]
    told.append(f"simulated, because the trace does not hold them: {done.simulated.replace(',', ', ')}")
    if done.forwarded is None:
        return [*told, "forwarding: another forwarder works on this home and ships the rest"]
    return [*told, *done.forwarded.lines()]
