"""Trace headers in every form that is sent: what is continued, what is not, and what is sent on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator

from tollmeter.instrumentation import instrument
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel.xray_propagator import XRayPropagator, stand_in_parent
from tollmeter.instrumentation.propagation import datadog, tracecontext, xray
from tollmeter.instrumentation.propagation.joined import joined
from tollmeter.instrumentation.propagation.outgoing import LOSS_BAGGAGE, Outgoing
from tollmeter.instrumentation.propagation.request_id import sane_request_id
from tollmeter.instrumentation.propagation.span_context import SpanContext
from tollmeter.instrumentation.propagation.styles import STYLES, ContextReader
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.errors import SettingError
from tollmeter.model.events import Request, decode
from tollmeter.model.settings import Settings

TRACE = "67891233abcdef012345678912345678"
ROOT = "1-67891233-abcdef012345678912345678"
SPAN = "53995c3f42cd8ad8"
W3C = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("value", "span", "flags"),
    [
        (f"Root={ROOT};Parent={SPAN};Sampled=1", SPAN, "01"),
        (f"Root={ROOT};Parent={SPAN};Sampled=0", SPAN, "00"),
        (f"Root={ROOT};Parent={SPAN};Sampled=1;Lineage=1:a87bd80c:0", SPAN, "01"),
        (f"Root={ROOT.upper()};Parent={SPAN.upper()};Sampled=1", SPAN, "01"),
        (f"Root={ROOT}", "", "01"),
        (f"Root={ROOT};Sampled=1", "", "01"),
        (f"Root={ROOT};Sampled=0", "", "00"),
        (f"Self=1-67891234-12456789abcdef0123456789;Root={ROOT}", "", "01"),
        (f"Self=1-67891234-12456789abcdef0123456789;Root={ROOT};CalledFrom=app", "", "01"),
        (f"Root={ROOT};Parent={SPAN};Sampled=?", SPAN, "01"),
        (f"Root={ROOT};Parent={SPAN};Sampled=1;", SPAN, "01"),
        (f"Root={ROOT};Parent={SPAN};Sampled=1;CalledFrom=app=x", SPAN, "01"),
        (f"root={ROOT};parent={SPAN};sampled=0", SPAN, "00"),
        (f"  Sampled = 1 ; Parent = {SPAN} ; Root = {ROOT} ", SPAN, "01"),
        (f";;Root={ROOT};;Parent={SPAN}", SPAN, "01"),
        (f"Root={ROOT};Parent=0000000000000000", "", "01"),
        (f"Root={ROOT};Parent=zz", "", "01"),
    ],
)
def test_every_form_of_the_xray_header_is_continued(value: str, span: str, flags: str) -> None:
    assert xray.read({b"x-amzn-trace-id": value.encode()}) == SpanContext(TRACE, span, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Root",
        "Root=",
        "Root=2-67891233-abcdef012345678912345678",
        "Root=1-6789123-abcdef012345678912345678",
        "Root=1-67891233-abcdef01234567891234567g",
        "Root=1-00000000-000000000000000000000000",
        "Self=1-67891234-12456789abcdef0123456789",
        f"Root={TRACE}",
        f"CalledFrom={'x' * 7200};Root={ROOT}",
    ],
)
def test_what_is_no_xray_header_is_not_continued(value: str) -> None:
    assert xray.read({b"x-amzn-trace-id": value.encode()}) is None


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (W3C, "01"),
        (W3C[:-2] + b"00", "00"),
        (W3C[:-2] + b"ff", "03"),
        (b" " + W3C + b" ", "01"),
        (b"cc" + W3C[2:] + b"-what-will-be", "01"),
    ],
)
def test_w3c_headers_are_continued(value: bytes, flags: str) -> None:
    found = tracecontext.read({b"traceparent": value})
    assert found == SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", flags)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        W3C.upper(),
        W3C + b"-x",
        b"ff" + W3C[2:],
        b"00-" + b"0" * 32 + W3C[35:],
        W3C[:36] + b"0" * 16 + b"-01",
        W3C + b"\n",
        W3C[:-1],
    ],
)
def test_malformed_w3c_headers_are_not(value: bytes) -> None:
    expected = W3C.strip() == value.strip()  # servers strip the white space around a value
    assert (tracecontext.read({b"traceparent": value}) is not None) == expected


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (b"dd=s:1,congo=t61rcWkgMzE", "dd=s:1,congo=t61rcWkgMzE"),
        (b"a=\xff", ""),
        (b"a=1\r\nx-evil: 1", ""),
        (b"a=" + b"x" * 300 + b",b=" + b"y" * 300, "a=" + "x" * 300),
        (b"a=" + b"x" * 600, ""),
    ],
)
def test_the_tracestate_is_kept_by_whole_members(state: bytes, kept: str) -> None:
    found = tracecontext.read({b"traceparent": W3C, b"tracestate": state})
    assert found
    assert found.state == kept


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"trace-id": "255", "parent-id": "16"}, SpanContext("0" * 30 + "ff", "0" * 14 + "10")),
        (
            {"trace-id": "255", "parent-id": "16", "tags": "_dd.p.dm=-1,_dd.p.tid=640cfd8d00000000"},
            SpanContext("640cfd8d00000000" + "0" * 14 + "ff", "0" * 14 + "10"),
        ),
        ({"trace-id": "255", "tags": "_dd.p.tid=640cfd8d"}, SpanContext("0" * 30 + "ff", "")),
        ({"trace-id": "255", "parent-id": "0", "sampling-priority": "0"}, SpanContext("0" * 30 + "ff", "", "00")),
        ({"trace-id": "255", "sampling-priority": "-1"}, SpanContext("0" * 30 + "ff", "", "00")),
        ({"trace-id": "255", "sampling-priority": "2"}, SpanContext("0" * 30 + "ff", "", "01")),
        ({"trace-id": str(2**64 - 1)}, SpanContext("0" * 16 + "f" * 16, "")),
        ({"trace-id": str(2**64)}, None),
        ({"trace-id": "0"}, None),
        ({"trace-id": "9" * 5000}, None),
        ({"trace-id": "0xff"}, None),
        ({"trace-id": "-1"}, None),
        ({"trace-id": "1_0"}, None),
    ],
)
def test_datadogs_headers(headers: dict[str, str], expected: SpanContext | None) -> None:
    assert datadog.read({f"x-datadog-{name}".encode(): value.encode() for name, value in headers.items()}) == expected


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("flags", ["00", "01"])
@pytest.mark.parametrize("trace_id", [TRACE, "0" * 16 + "00000000000000ff"])
def test_what_is_written_is_read_again(name: str, flags: str, trace_id: str) -> None:
    span = SpanContext(trace_id, SPAN, flags)
    written = STYLES[name].write(span)
    assert next(iter(written)) == STYLES[name].header
    assert ContextReader([name]).read({key.encode(): value.encode() for key, value in written.items()}) == span


def test_the_first_style_that_tells_of_a_span_wins() -> None:
    headers = {b"traceparent": W3C, b"x-amzn-trace-id": f"Root={ROOT}".encode(), b"x-datadog-trace-id": b"255"}
    by_default = ContextReader(Settings.load({}).propagation)
    assert by_default.read(headers) == tracecontext.read(headers)
    assert by_default.read(headers | {b"traceparent": b"?"}) == xray.read(headers)
    assert by_default.read({b"x-datadog-trace-id": b"255"}) == datadog.read(headers)
    assert ContextReader(Settings.load({}, propagation="datadog,xray").propagation).read(headers) == datadog.read(
        headers
    )
    assert ContextReader(Settings.load({}, propagation="none").propagation).read(headers) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("propagation", "b3"),
        ("propagate", ("tracecontext", "b3")),
        ("propagate_hosts", "llm.test:8000"),
        ("propagate_hosts", ["https://llm.test"]),
    ],
)
def test_what_is_no_style_or_host_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=setting):
        Settings.load({}, **{setting: value})


@pytest.mark.parametrize("baggage", [{"tenant": "t"}, {"tenant_id": "a key"}, {"tenant_id": "a,b"}])
def test_what_is_no_field_or_key_of_baggage_is_refused(baggage: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="propagate_baggage"):
        Outgoing(Settings.load({}, propagate_baggage=baggage))


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ((), "llm.test", False),
        (("LLM.test",), "llm.test", True),
        (("llm.test",), "evil-llm.test", False),
        (("*.corp.example",), "a.corp.example", True),
        (("*.corp.example",), "corp.example", False),
        (("*.corp.example",), "a.corp.example.evil", False),
        (("[::1]",), "::1", True),
        (("*",), "anything", True),
    ],
)
def test_only_hosts_that_are_named_are_told(hosts: tuple[str, ...], host: str, *, allowed: bool) -> None:
    assert Outgoing(Settings.load({}, propagate_hosts=hosts)).allows(host) == allowed


def outgoing(own: dict[str, Any], attribution: dict[str, str], **settings: Any) -> dict[str, str]:
    sent = Outgoing(Settings.load({}, propagate="tracecontext,xray,datadog", **settings))
    told = sent.context_headers(SpanContext(TRACE, SPAN, "01", "dd=s:1"))
    return sent.headers(told, attribution, own.get)


def test_every_style_is_sent() -> None:
    assert outgoing({}, {}) == {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "tracestate": "dd=s:1",
        "x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=1",
        "x-datadog-trace-id": str(int(TRACE[16:], 16)),
        "x-datadog-parent-id": str(int(SPAN, 16)),
        "x-datadog-sampling-priority": "1",
        "x-datadog-tags": f"_dd.p.tid={TRACE[:16]}",
    }


def test_what_the_application_sends_itself_stands() -> None:
    own = {"traceparent": "mine", "x-datadog-trace-id": "7", "x-amzn-trace-id": "Root=mine"}
    assert outgoing(own, {}) == {}


BAGGAGE = {"tenant_id": "tenant.id", "user_id": "user"}


@pytest.mark.parametrize(
    ("own", "attribution", "expected"),
    [
        (None, {"tenant_id": "acme"}, "tenant.id=acme"),
        ("", {"tenant_id": "acme"}, "tenant.id=acme"),
        (None, {"tenant_id": "größe, 5 %;x\r\n"}, "tenant.id=gr%C3%B6%C3%9Fe%2C%205%20%25%3Bx%0D%0A"),
        (None, {"tenant_id": "\ud800"}, "tenant.id=?"),
        ("k=v;p=1", {"tenant_id": "acme", "user_id": "u"}, "k=v;p=1,tenant.id=acme,user=u"),
        (b"tenant.id=mine", {"tenant_id": "acme", "user_id": "u"}, "tenant.id=mine,user=u"),
        ("k=v", {}, "k=v"),
        (None, {"team": "core"}, None),
    ],
)
def test_attribution_travels_behind_the_applications_own_baggage(
    own: str | bytes | None, attribution: dict[str, str], expected: str | None
) -> None:
    sent = outgoing({} if own is None else {"baggage": own}, attribution, propagate_baggage=BAGGAGE)
    assert sent.get("baggage") == expected


def test_baggage_is_bounded_and_what_found_no_room_is_counted() -> None:
    losses.take()
    crowded = ",".join(f"k{index}=v" for index in range(63))
    sent = outgoing({"baggage": crowded}, {"tenant_id": "acme", "user_id": "u"}, propagate_baggage=BAGGAGE)
    assert sent["baggage"] == crowded + ",tenant.id=acme"
    assert losses.take() == {LOSS_BAGGAGE: 1}
    long = outgoing({"baggage": "k=" + "x" * 8100}, {"tenant_id": "a" * 100, "user_id": "u"}, propagate_baggage=BAGGAGE)
    assert long["baggage"].endswith("x,user=u")
    assert losses.take() == {LOSS_BAGGAGE: 1}


def request_with(*headers: tuple[str, str], **settings: Any) -> Request:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def nothing(_message: Any = None) -> None:
        return

    writer = MemoryWriter()
    wrapped = instrument(app, writer=writer, mode="lean", **settings)
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    asyncio.run(wrapped({"type": "http", "method": "GET", "path": "/", "headers": sent}, nothing, nothing))
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, Request)
    return event


def test_a_request_continues_the_trace_that_a_load_balancer_began() -> None:
    found = request_with(("x-amzn-trace-id", f"Self=1-67891234-12456789abcdef0123456789;Root={ROOT}"))
    assert (found.trace_id, found.parent_span_id, len(found.span_id)) == (TRACE, "", 16)
    found = request_with(("x-amzn-trace-id", f"Root={ROOT};Parent={SPAN}"), ("cookie", "a"), ("cookie", "b"))
    assert (found.trace_id, found.parent_span_id) == (TRACE, SPAN)
    assert request_with(("x-amzn-trace-id", f"Root={ROOT}"), propagation="tracecontext").trace_id != TRACE


def test_lists_in_several_lines_are_one() -> None:
    found = request_with(("baggage", "a=1"), ("baggage", "t=acme"), ("accept", "*/*"), baggage={"tenant_id": "t"})
    assert found.tenant_id == "acme"
    assert joined([(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]) == {b"tracestate": b"a=1,b=2"}


def test_request_ids_are_plain() -> None:
    assert sane_request_id(b"req-1") == "req-1"
    assert [sane_request_id(value) for value in (None, b"", b"a b", b"a\n", b"x" * 129)] == [""] * 5


def current(propagator: TextMapPropagator, carrier: dict[str, str]) -> trace.SpanContext:
    return trace.get_current_span(propagator.extract(carrier)).get_span_context()


@pytest.mark.parametrize("name", ["x-amzn-trace-id", "X-Amzn-Trace-Id"])
def test_opentelemetry_continues_what_a_load_balancer_sends(name: str) -> None:
    found = current(XRayPropagator(), {name: f"Root={ROOT}"})
    assert (found.is_valid, found.is_remote, found.trace_flags) == (True, True, 1)
    assert (found.trace_id, found.span_id) == (int(TRACE, 16), stand_in_parent(int(TRACE, 16)))
    known = current(XRayPropagator(), {name: f"Root={ROOT};Parent={SPAN};Sampled=0;"})
    assert (known.trace_id, known.span_id, known.trace_flags) == (int(TRACE, 16), int(SPAN, 16), 0)
    assert not current(XRayPropagator(), {name: "Root=?"}).is_valid
    assert not current(XRayPropagator(), {}).is_valid


def test_opentelemetry_sends_the_current_span_and_leaves_a_span_that_was_found() -> None:
    propagator, carrier = XRayPropagator(), {"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN}"}
    context = propagator.extract(carrier)
    written: dict[str, str] = {}
    propagator.inject(written, context)
    assert written == {"x-amzn-trace-id": f"Root={ROOT};Parent={SPAN};Sampled=1"}
    assert set(written) == propagator.fields
    other = propagator.extract({"x-amzn-trace-id": "Root=1-00000001-000000000000000000000001"}, context)
    assert trace.get_current_span(other).get_span_context().trace_id == int(TRACE, 16)
    nothing: dict[str, str] = {}
    propagator.inject(nothing, trace.set_span_in_context(trace.INVALID_SPAN))
    assert nothing == {}
