"""Laws of money: for any usage."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollmeter.pricing import Usage, extract_usage, price
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.cost import round_parts
from tollmeter.pricing.table import Model, Provider, Row, Table

MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("openai", "gpt-4o-realtime-preview"),
    ("deepseek", "deepseek-chat"),
    ("perplexity", "sonar-deep-research"),
)
moments = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
models = st.sampled_from(MODELS)


@st.composite
def usages(draw: st.DrawFn, most: int = 150_000) -> Usage:
    whole_in, whole_out = draw(st.integers(0, most)), draw(st.integers(0, most))
    read = draw(st.integers(0, whole_in))
    written = draw(st.integers(0, whole_in - read))
    audio = draw(st.integers(0, whole_in))
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.integers(0, whole_out)),
        input_audio_tokens=audio,
        input_image_tokens=draw(st.integers(0, whole_in - audio)),
        server_tool_calls={"web_search": draw(st.integers(0, 5))},
    )


@given(models, usages(), moments)
def test_parts_are_never_negative_and_add_up(model: tuple[str, str], usage: Usage, at: datetime) -> None:
    cost = price(*model, usage, at=at)
    parts = (
        cost.input_cost_usd,
        cost.output_cost_usd,
        cost.cache_read_cost_usd,
        cost.cache_write_cost_usd,
        cost.fees_usd,
    )
    assert None not in parts
    assert min(part for part in parts if part is not None) >= 0
    assert sum((part for part in parts if part is not None), Decimal(0)) == cost.cost_usd


CLASSES = (
    ("input_tokens",),
    ("output_tokens",),
    ("input_tokens", "cache_read_tokens"),
    ("input_tokens", "cache_write_tokens"),
    ("input_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    ("input_tokens", "input_audio_tokens"),
    ("input_tokens", "input_image_tokens"),
    ("output_tokens", "reasoning_tokens"),
)
"""What grows when a token of a class is added: the class, and every whole that it is a part of."""


@given(models, usages(), moments, st.sampled_from(CLASSES), st.integers(1, 40_000))
def test_more_tokens_never_cost_less(
    model: tuple[str, str], usage: Usage, at: datetime, grown: tuple[str, ...], more: int
) -> None:
    larger = msgspec.structs.replace(usage, **{field: getattr(usage, field) + more for field in grown})
    less, dearer = price(*model, usage, at=at).cost_usd, price(*model, larger, at=at).cost_usd
    assert less is not None
    assert dearer is not None
    assert dearer >= less


rates = st.decimals(Decimal("0.001"), 100, places=3).map(str)
days = st.dates(datetime(2024, 1, 1, tzinfo=UTC).date(), datetime(2026, 12, 31, tzinfo=UTC).date())


@given(usages(), moments, rates, st.lists(st.tuples(days, rates, rates), max_size=5), st.tuples(days, rates))
def test_a_future_price_never_changes_a_past_call(
    usage: Usage, at: datetime, first: str, known: list[tuple[date, str, str]], news: tuple[date, str]
) -> None:
    def book(rows: list[Row]) -> PriceBook:
        return PriceBook(Table("t", "1", [Provider("p", None, [], [Model("m", ["equals", "m"], rows)])]))

    base = [Row({"input_mtok": first, "output_mtok": first})]
    base += [Row({"input_mtok": a, "output_mtok": b}, since=day) for day, a, b in sorted(known)]
    since, later = news
    coming = Row({"input_mtok": later, "output_mtok": later}, since=max(since, at.date() + timedelta(days=1)))
    rows = sorted([*base[1:], coming], key=lambda row: row.since or date.min)
    before, after = (book(each).price("p", "m", usage, at=at) for each in (base, [base[0], *rows]))
    assert before == after
    assert before.cost_usd is not None


@given(st.lists(st.integers(0, 10**30), min_size=1, max_size=6))
def test_rounding_loses_nothing(parts: list[int]) -> None:
    total, rounded = round_parts(tuple(parts))
    assert sum(rounded) == total
    assert abs(sum(parts) - total * 10**24) * 2 <= 10**24
    assert all(abs(part - whole * 10**24) < 10**24 for part, whole in zip(parts, rounded, strict=True))


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(("openai", "anthropic", "", "x")))
def test_arbitrary_bytes_never_raise(body: bytes, stream: bool, provider: str) -> None:
    usage = extract_usage(provider, endpoint="/", status=200, headers={}, body=body, stream=stream)
    assert usage is None or usage.is_consistent()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    (
                        "usage",
                        "response",
                        "choices",
                        "prompt_tokens",
                        "completion_tokens",
                        "output",
                        "type",
                        "prompt_tokens_details",
                        "x_groq",
                    )
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_arbitrary_documents_never_raise(document: object) -> None:
    body = msgspec.json.encode(document)
    usage = extract_usage("openai", endpoint="/", status=200, headers={}, body=body, stream=False)
    if usage is not None:
        price("openai", "gpt-4o", usage, at=datetime.now(UTC) + timedelta(days=1))
