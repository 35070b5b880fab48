"""The shipped price table is what the pinned genai-prices compiles to."""

from __future__ import annotations

from tollmeter.pricing.compile import compile_table
from tollmeter.pricing.table import TABLE_PATH, read_table


def test_recompiling_gives_the_same_bytes() -> None:
    assert compile_table() == TABLE_PATH.read_bytes(), "run: tollmeter prices build"


def test_coverage() -> None:
    table = read_table()
    assert len(table.providers) == 47
    assert sum(len(provider.models) for provider in table.providers) == 2330
