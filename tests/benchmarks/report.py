"""The figures as text, and as `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.page_asks import IN_ROWS, OVERVIEW, RAW_DAY

MAX_IMPORT_MS, MAX_IMPORT_MB = 50, 8
MAX_OVERVIEW_MS, MAX_PAGE_MS, MAX_DAY_MS = 100, 300, 1000
MIN_ETL_TIMES, MAX_ETL_BYTES = 0.5, 1536 << 20
_HEAD = """\
# Benchmarks

Made by `make bench ARGS=--write`, or a section at a time (`ARGS="--write --only tap"`); nothing here is written by
hand.
"""
_METHOD = """\
Each variant of the sample service is a server process of its own, pinned to one core with its exporter threads; load,
upstream and OTLP sink share another. CPU is read from the process's CPU-time clock. Rounds are interleaved and the
order of variants turns; shown are the median and, for what is added to bare, the median of the paired differences with
its 95 % bootstrap interval. Both OpenTelemetry variants export spans every 200 ms, and every window of measurement
stays open until they have. OpenTelemetry is the contrib FastAPI instrumentation without send and receive spans, plus
opentelemetry-instrumentation-genai-openai, traces and metrics by OTLP/HTTP; it computes no cost and writes no events.
Tollmeter otel is FastAPI's own server spans (below 0.165 contrib's), exported, plus Tollmeter's events. Both variants
of Tollmeter are checked to have recorded every request and priced every call. What OTel mode adds for a service that
runs OpenTelemetry already is its paired difference from the OpenTelemetry variant.
"""
_PARTS = """\
In one process, without sockets: the middleware around a trivial ASGI app, and a call through httpx2 with an in-memory
transport, with and without the tap, its event priced and appended to the spool. With its hooks in use the request
brings a trace and attribution in headers, and the app annotates it and names a step. The route is read where the router
has left it, so that an app of many routes pays no more than one of few: its last one is asked for.

The same code costs several times as much where other code has run in between: with caches cold, as here after 8 MiB of
other memory were read before every turn (which is not timed). A service is in that state at every call, whatever
instruments it; this is why the service shows more than the parts do.
"""
_TAP = """\
A call of the OpenAI SDK over httpx2 with an in-memory transport: bare, with opentelemetry-instrumentation-genai-openai
(spans and metrics made, but thrown away instead of sent), and with the tap (its event priced and appended to the
spool). All three take turns in one process, call by call and in every order. Of each round counts the median of the
differences call by call. Chunks are as OpenAI sends them; with gzip each is flushed by itself.
`times` is what OpenTelemetry adds over what the tap adds; `at worst` the same by the upper end of the 95 % interval of
the tap's share, for which the rounds of both are resampled together. The bar is 25 for the long stream.
"""
_PEERS = """\
The same FastAPI service in a process of its own for each, driven without sockets, its upstream an in-memory transport
under the OpenAI SDK: so it is the instrumentation that is seen, not the network. Each peer stands in a pinned
environment (tests/benchmarks/peers) and is compared with the bare service in that environment; its exporters send to
a sink of its own on loopback, which is checked to have got spans of every request, and what they have queued is worked
off inside each window. Calls at the start of a window are not
counted. Contents are not recorded by anyone. Ours runs lean with trace context in and out, attribution from a header,
and every event priced and on disk. `at worst` is the upper end of the 95 % interval of our share, for which the rounds
of both are resampled together; by it a bar is met or missed.
"""
_PRICES = """\
The same five calls (OpenAI, Anthropic, Gemini with its thresholds, a Bedrock profile; each with cached tokens), at one
date. `genai_prices.calc_price` looks up and computes in one step, so each row is beside the whole of it. We remember
what was found and what was missed, within a bound; a first look-up is not in these figures.
"""
_FORWARDER = """\
A backlog of requests with their calls is worked off by `tollmeter forward --once`, on one core, to receivers on
loopback that answer as AWS, a collector and an Agent do, on the other; CPU time is the forwarder's alone, of all its
threads. AWS is s3, cloudwatch_emf and xray; Datadog is raw, datadog_metrics and datadog_traces; all is every sink.

Then the sample service, lean, is asked without a pause, on a core of its own; the load, the forwarder and the receivers
share the other, so that what the forwarder takes there the load does not get: of p99, as the load sees it, that is a
part. Windows are interleaved; two services alone tell how far equal ones are apart (A/A). The bar is 1.1 times the
service alone, or the A/A spread where that is more, by the upper end of the 95 % interval of the paired ratios.
At last a minute beside each set of sinks tells whether the lag stays bounded: what comes in is the rate of the service,
what goes out the same events over the minute and the time until the last of them was forwarded.
"""
_QUERIES = """\
A lake of 90 days made by DuckDB (tenants by Zipf's law, each with models, routes and sessions of its own; half as many
requests as calls), its rollups derived by the code that a run uses. Then what the dashboard's pages ask, question after
question in turns, through the embedded engine, no answer kept; of a month whose last hour is still filling, unless told
otherwise. Shown are the median and the first time, in which the text is translated. Each question has its page's bar.
"""
_ETL = """\
The same uncompressed JSON lines of wide model calls for both: tokens and pace of the Azure traces of 2023, the rest
made up with the bonds that traffic has, one line in a hundred delivered again. Ours judges every line, deduplicates the
batch in itself and against the lake, and commits to Iceberg tables; DuckDB infers a schema and copies the
lines to one Parquet file. Each side runs in a process of its own, interleaved; the interpreter's start is not counted
for either, nor are the rollups, which are told apart. Memory is the most that a process and its children held at once,
looked at every 50 ms: `PSS` counts shared pages once, `RSS` for each process.
"""


def render(document: dict[str, Any]) -> str:
    """The page: each section with when and on what it was measured."""
    known: dict[str, tuple[str, str, Callable[[Any], str]]] = {
        "service": ("CPU per request of the sample service", _METHOD, _service),
        "peers": ("Beside others", _PEERS, _peers),
        "tap": ("The tap beside OpenTelemetry's", _TAP, _tap),
        "parts": ("The parts", _PARTS, _parts),
        "prices": ("A price", _PRICES, _prices),
        "forwarder": ("The forwarder", _FORWARDER, _forwarder),
        "queries": ("Queries", _QUERIES, _queries),
        "etl": ("The ETL", _ETL, _etl),
    }
    sections = [
        f"## {title}\n\n{_stated(document[name])}\n\n{method}\n{show(document[name]['figures'])}"
        for name, (title, method, show) in known.items()
        if name in document
    ]
    return "\n".join([_HEAD, *sections])


def _stated(section: dict[str, Any]) -> str:
    where = f"{section['machine']}, load {section['load']} at the start; {section['versions']}"
    return f"{section['at']}, {section['rounds']} rounds unless told otherwise, on {where}."


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    rule = "|---" + "|---:" * (len(rows[0]) - 1) + "|"
    return "\n".join((head, rule, *body)) + "\n"


def _interval(row: dict[str, float]) -> str:
    return f"{row['added_us']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"


def _service(service: dict[str, Any]) -> str:
    rows = [("workload", "variant", "CPU µs per request", "added to bare, µs (95 %)", "over OpenTelemetry, µs (95 %)")]
    for workload, variants in service.items():
        for variant, row in variants.items():
            added = _interval(row) if "added_us" in row else ""
            over = (
                {"added_us": row["over_us"], "low": row["over_low"], "high": row["over_high"]}
                if "over_us" in row
                else {}
            )
            rows.append((workload, variant, f"{row['cpu_us']:.0f}", added, _interval(over) if over else ""))
    return _table(*rows)


def _parts(parts: dict[str, Any]) -> str:
    rows = [("part", "bare, CPU µs", "added by lean mode, µs (95 %)")]
    rows += [(name, f"{row['bare_us']:.1f}", _interval(row)) for name, row in parts.items()]
    return _table(*rows)


def _peers(peers: dict[str, Any]) -> str:
    rows = [("request", "instrumented by", "bare, CPU µs", "added, µs (95 %)")]
    rows += [
        (workload, name, f"{row['bare_us']:.0f}", _interval(row))
        for workload, variants in peers["added"].items()
        for name, row in variants.items()
    ]
    bars = [("request", "beside", "times less", "at worst", "bar", "")]
    for row in peers["bars"]:
        worst = f"{row['at_worst']:.1f}" if row["at_worst"] else ""
        told = (f"{row['times']:.1f}", worst, str(row["bar"]), "met" if row["met"] else "missed")
        bars.append((row["workload"], row["peer"], *told))
    cpu, rss = (peers["imports"][what] for what in ("cpu_ms", "rss_mb"))
    cpu_later, rss_later = (peers["imports"][f"{what}_of_instrument"]["added"] for what in ("cpu_ms", "rss_mb"))
    imports = (
        "FastAPI and the OpenAI SDK being loaded, `from tollmeter.instrumentation import annotate, instrument, step` "
        f"adds {cpu['added']:.0f} ms "
        f"of CPU ({cpu['low']:.0f} to {cpu['high']:.0f}; bar 50, {_met(cpu['high'] <= MAX_IMPORT_MS)}) and "
        f"{rss['added']:.1f} MB ({rss['low']:.1f} to {rss['high']:.1f}; bar 8, {_met(rss['high'] <= MAX_IMPORT_MB)}). "
        f"`instrument(app)` then loads the taps and prices: {cpu_later:.0f} ms and {rss_later:.1f} MB more.\n"
    )
    return f"{peers['versions']}.\n\n{_table(*rows)}\n{_table(*bars)}\n{imports}"


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _tap(tap: dict[str, Any]) -> str:
    rows = [("call", "bare, CPU µs", "OpenTelemetry adds, µs (95 %)", "the tap adds, µs (95 %)", "times", "at worst")]
    for name, row in tap["calls"].items():
        added = (_interval(row["OpenTelemetry"]), _interval(row["Tollmeter"]))
        times = (f"{row['times_less']:.1f}", f"{row['times_less_at_worst']:.1f}")
        rows.append((name, f"{row['bare_us']:.0f}", *added, *times))
    chunks = [("one further chunk", "added, µs (95 %)")]
    chunks += [
        (name, f"{row['added_us']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})")
        for name, row in tap["chunk"].items()
    ]
    return f"{_table(*rows)}\n{_table(*chunks)}"


def _prices(prices: dict[str, Any]) -> str:
    rows = [("what is asked", "ours, CPU µs", "`calc_price`, CPU µs", "times as much (95 %)")]
    for name, row in prices.items():
        times = f"{row['times']:.0f} ({row['low']:.0f} to {row['high']:.0f})"
        rows.append((name, f"{row['ours_us']:.2f}", f"{row['theirs_us']:.0f}", times))
    return _table(*rows)


def _forwarder(forwarder: dict[str, Any]) -> str:
    drained = [("sinks", "events/s and core", "events/s", "peak memory, MB")]
    drained += [
        (name, f"{row['per_s_and_core']:,.0f}", f"{row['per_s']:,.0f}", f"{row['peak_mb']:.0f}")
        for name, row in forwarder["drained"].items()
    ]
    p99: list[tuple[str, ...]] = [("saturated service", "p99, ms", "times alone (95 %)", "bar", "")]
    for name, row in forwarder["p99"].items():
        times = f"{row['times']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        told = ("", "") if name.startswith("alone") else (f"{row['bar']:.2f}", _met(bool(row["met"])))
        p99.append((name, f"{row['p99_ms']:.2f}", times, *told))
    lags: list[tuple[str, ...]] = [
        (
            "beside, for a minute",
            "events/s in",
            "out",
            "lag after half, s",
            "at the end, s",
            "drained in, s",
            "of a core",
        )
    ]
    for name, row in forwarder["sustained"].items():
        rates = (f"{row['in_per_s']:,.0f}", f"{row['out_per_s']:,.0f}")
        seconds = [f"{row[what]:.1f}" for what in ("middle_lag_s", "end_lag_s", "settled_s")]
        lags.append((name, *rates, *seconds, f"{row['core_share']:.2f}"))
    head = f"Backlogs for each set: {forwarder['drains']}; {forwarder['rounds']} rounds beside the service."
    return f"{head}\n\n{_table(*drained)}\n{_table(*p99)}\n{_table(*lags)}"


def _etl(etl: dict[str, Any]) -> str:
    rows = [("what", "rows/s", "CPU µs per row", "memory, MiB PSS", "MiB RSS")]
    rows += [
        (name, f"{row['rows_per_s']:,.0f}", f"{row['cpu_us']:.1f}", _mib(row["pss"]), _mib(row["rss"]))
        for name, row in etl.items()
        if isinstance(row, dict) and "rows_per_s" in row
    ]
    times, cpu, line = etl["times"], etl["cpu_times"], etl["line"]
    told = (
        f"{etl['rows']:,} lines of {line['bytes']:,} bytes and {line['fields']} fields, {etl['duplicates']:,} of them "
        f"duplicates, after {etl['committed']:,} lines; {etl['rounds']} rounds. "
        f"Ours is {times['median']:.2f} times as fast ({times['low']:.2f} to {times['high']:.2f}; "
        f"bar 0.5, {_met(times['low'] >= MIN_ETL_TIMES)}; stretch 1.0); by CPU time, {cpu['median']:.2f} "
        f"({cpu['low']:.2f} to {cpu['high']:.2f}). Rollups took {etl['rollups_s']:.1f} s more. "
        f"A row of `llm_calls` is {etl['bytes_per_row']:.0f} bytes of Parquet. "
        f"Memory bar 1,536 MiB, {_met(etl['tollmeter etl run']['pss'] <= MAX_ETL_BYTES)}.\n"
    )
    return f"{told}\n{_table(*rows)}{_growth(etl['growth'])}"


def _growth(runs: list[dict[str, Any]]) -> str:
    rows = [("lines into an empty lake", "s", "rows/s", "rollups, s", "memory, MiB PSS", "MiB RSS")]
    rows += [
        (
            f"{run['lines']:,}",
            f"{run['seconds']:.1f}",
            f"{run['lines'] / run['seconds']:,.0f}",
            f"{run['rollups_s']:.1f}",
            _mib(run["pss"]),
            _mib(run["rss"]),
        )
        for run in runs
    ]
    return f"\n{_table(*rows)}{_linear(runs)}" if runs else ""


def _linear(runs: list[dict[str, Any]]) -> str:
    """How the time of a line grows with their number, and the memory of the largest run."""
    least, most = (pick(runs, key=lambda run: run["lines"]) for pick in (min, max))
    times = (most["seconds"] / most["lines"]) / (least["seconds"] / least["lines"])
    met = _met(max(run["pss"] for run in runs) <= MAX_ETL_BYTES)
    return (
        f"\nA line of {most['lines']:,} took {times:.2f} times as long as one of {least['lines']:,}. "
        f"Memory bar 1,536 MiB, {met}.\n"
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f}"


def _queries(queries: dict[str, Any]) -> str:
    bars = {OVERVIEW: MAX_OVERVIEW_MS, RAW_DAY: MAX_DAY_MS, IN_ROWS: 0}
    asked: list[tuple[str, ...]] = [("page", "question", "ms", "first, ms", "bar, ms", "")]
    for page, found in queries["pages"].items():
        bar = bars.get(page, MAX_PAGE_MS)
        for name, row in found.items():
            told = (str(bar), _met(row["ms"] < bar)) if bar else ("", "")
            asked.append((page, name, f"{row['ms']:.0f}", f"{row['first_ms']:.0f}", *told))
    tables = [("rollup", "rows", "calls per row", "MB")]
    tables += [
        (name, f"{row['rows']:,}", f"{queries['rows'] / row['rows']:.1f}", f"{row['bytes'] / 1e6:.1f}")
        for name, row in queries["rollups"].items()
    ]
    per_million = queries["rollup_s"] / queries["rows"] * 1e6
    head = (
        f"{queries['rows']:,} calls, {queries['rounds']} rounds; made in {queries['build_s']:.0f} s, rolled up in "
        f"{queries['rollup_s']:.0f} s ({per_million:.1f} s per million calls)."
    )
    return f"{head}\n\n{_table(*asked)}\n{_table(*tables)}"
