"""Whatever arrives in trace headers, reading them never raises, and what is read can be sent on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollmeter.instrumentation.propagation import baggage, xray
from tollmeter.instrumentation.propagation.outgoing import Outgoing
from tollmeter.instrumentation.propagation.span_context import SpanContext
from tollmeter.instrumentation.propagation.styles import STYLES, ContextReader
from tollmeter.model.settings import Settings

NAMES = (
    "traceparent", "tracestate", "x-amzn-trace-id", "x-datadog-trace-id", "x-datadog-parent-id",
    "x-datadog-sampling-priority", "x-datadog-tags",
)  # fmt: skip
PIECES = [
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"Root=1-67891233-abcdef012345678912345678", b";", b"=",
    b"Parent=53995c3f42cd8ad8", b"Sampled=?", b"-", b",", b"18446744073709551615", b"_dd.p.tid=640cfd8d00000000", b" ",
]  # fmt: skip
VALUES = st.binary(max_size=80) | st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=6).map(b"".join)
HEX = "0123456789abcdef"
TRACE_IDS = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
SPAN_IDS = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0"))
READER = ContextReader(STYLES)
SENT = Outgoing(Settings.load({}, propagate=tuple(STYLES), propagate_baggage={"tenant_id": "t", "user_id": "u"}))


@given(st.dictionaries(st.sampled_from([name.encode() for name in NAMES]), VALUES))
def test_any_headers_give_a_whole_span_or_none(headers: dict[bytes, bytes]) -> None:
    found = READER.read(headers)
    if found is None:
        return
    assert int(found.trace_id, 16) > 0
    assert len(found.trace_id) == 32
    assert found.span_id == "" or (len(found.span_id) == 16 and int(found.span_id, 16) > 0)
    assert len(found.flags) == 2
    assert len(found.state) <= 512
    assert found.state == "" or found.state.replace("\t", " ").isprintable()


@given(TRACE_IDS, SPAN_IDS, st.sampled_from(["00", "01"]))
def test_every_style_says_what_it_was_told(trace_id: str, span_id: str, flags: str) -> None:
    span = SpanContext(trace_id, span_id, flags)
    for name, style in STYLES.items():
        if name == "datadog" and not trace_id[16:].strip("0"):
            continue  # it knows no trace whose lower half is 0
        assert style.read({key.encode(): value.encode() for key, value in style.write(span).items()}) == span


@given(
    st.permutations(["Root=1-67891233-abcdef012345678912345678", "Parent=53995c3f42cd8ad8", "Self=1-2-3", "A=b=c", ""])
)
def test_the_order_of_pairs_says_nothing(pairs: list[str]) -> None:
    assert xray.read_value(";".join(pairs).encode()) == SpanContext(
        "67891233abcdef012345678912345678", "53995c3f42cd8ad8"
    )


@given(st.text(max_size=40) | st.just("x" * 9000), st.text(max_size=40), st.none() | st.text(max_size=60))
def test_baggage_is_read_as_it_was_written_and_breaks_no_header(tenant: str, user: str, own: str | None) -> None:
    headers = SENT.headers({}, {"tenant_id": tenant, "user_id": user}, {"baggage": own}.get)
    sent = headers.get("baggage", "")
    if own and own.strip():
        assert sent.startswith(own)
        return
    assert len(sent) <= baggage.MAX_BYTES
    assert sent.isascii()
    assert sent.isprintable()
    read = baggage.read(sent)
    assert read.get("u", "") == user.encode("utf-8", "replace").decode()
    assert read.get("t", "") == ("" if len(tenant) > 8000 else tenant.encode("utf-8", "replace").decode())
