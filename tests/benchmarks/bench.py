"""`make bench`: what Tollmeter costs a service, and how fast it lands rows, each beside what others do.

Prints tables on stdout (`--json` for one document). `--write` puts each section, as soon as it is measured, into
docs/benchmarks.json and docs/benchmarks.md, and leaves the others there as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

SECTIONS = ("service", "peers", "tap", "parts", "prices", "forwarder", "etl", "queries")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
FIGURES = PAGE.with_suffix(".json")
_PACKAGES = ("fastapi", "openai", "opentelemetry-sdk", "opentelemetry-instrumentation-genai-openai", "duckdb")


def main() -> None:
    """Measure, print, write."""
    options = _options()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in the test suite
    from benchmarks import etl, forwarder, micro, prices, queries, report, service, tap
    from benchmarks.cpu import machine
    from benchmarks.peers import measure as peers

    rounds = options.rounds
    sections: dict[str, Callable[[], Any]] = {
        "service": lambda: service.measure(rounds, options.requests, _progress).document(),
        "peers": lambda: peers.measure(rounds, _progress) | {"versions": peers.versions()},
        "tap": lambda: tap.measure(rounds, _progress),
        "parts": lambda: micro.measure(rounds, _progress),
        "prices": lambda: prices.measure(rounds, _progress),
        "forwarder": lambda: forwarder.measure(rounds, options.forward_rounds, _progress),
        "queries": lambda: queries.measure(options.query_rows, options.query_rounds, _progress),
        "etl": lambda: etl.measure(_etl_sizes(options, etl.Sizes), _progress),
    }
    document: dict[str, Any] = {}
    for name in (each for each in SECTIONS if each in options.only):
        stated = _stated(machine(), rounds)
        document[name] = stated | {"figures": sections[name]()}
        if options.write:
            _write(name, document[name], report.render)
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else report.render(document))


def _stated(machine: str, rounds: int) -> dict[str, Any]:
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine,
        "load": f"{os.getloadavg()[0]:.1f}",
        "versions": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "rounds": rounds,
    }


def _write(name: str, section: dict[str, Any], render: Callable[[dict[str, Any]], str]) -> None:
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known = {each: section if each == name else known[each] for each in SECTIONS if each == name or each in known}
    FIGURES.write_text(json.dumps(known, indent=1) + "\n")
    PAGE.write_text(render(known))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds of service and parts")
    parser.add_argument("--requests", type=int, default=40, help="calls per round; five times as many pings")
    parser.add_argument("--forward-rounds", type=int, default=10, help="backlogs the forwarder works off, for each set")
    parser.add_argument("--etl-rounds", type=int, default=3, help="interleaved rounds of the ETL")
    parser.add_argument("--rows", type=int, default=2_000_000, help="lines the ETL lands per round")
    parser.add_argument("--committed", type=int, help="lines landed before (default: 3/4 of --rows)")
    parser.add_argument("--growth", type=int, nargs="*", default=(), help="lines of further runs: 1000000 10000000")
    parser.add_argument(
        "--query-rows", type=int, default=5_000_000, help="calls in the lake of the queries; 50000000 takes 15 GB"
    )
    parser.add_argument("--query-rounds", type=int, default=5, help="interleaved rounds of queries")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="some sections alone")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help="update docs/benchmarks.md and its figures")
    return parser.parse_args()


def _etl_sizes(options: argparse.Namespace, sizes: Callable[..., Any]) -> Any:
    committed = options.rows * 3 // 4 if options.committed is None else options.committed
    return sizes(committed, options.rows, options.etl_rounds, options.growth)


def _progress(message: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{message:<40}")
    elif " 1 of " in message:
        sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    main()
