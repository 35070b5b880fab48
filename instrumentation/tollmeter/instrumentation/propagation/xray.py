"""`X-Amzn-Trace-Id` in every form that is sent: by SDKs, load balancers, API Gateway, Lambda and applications.

https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader and
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
"""

from __future__ import annotations

import re
from typing import Final

from tollmeter.instrumentation.propagation.span_context import Headers, SpanContext, flags_of
from tollmeter.model.names import HEADER_XRAY

_HEADER: Final = HEADER_XRAY.encode()
_ROOT: Final = re.compile(rb"1-([0-9a-f]{8})-([0-9a-f]{24})")
_SPAN: Final = re.compile(rb"[0-9a-f]{16}")
_MAX_HEADER: Final = 7 << 10  # where a load balancer begins anew


def read(headers: Headers) -> SpanContext | None:
    """The caller's span; only its trace where a load balancer began it; None without a `Root`."""
    return read_value(headers.get(_HEADER, b""))


def read_value(value: bytes) -> SpanContext | None:
    """The span that a header, a queue message's `AWSTraceHeader` or `_X_AMZN_TRACE_ID` tells of.

    `Root`, `Parent` and `Sampled` are read wherever they stand, in any case; other pairs say nothing of the span. A
    decision that is left open (`Sampled=?`, or none) is taken for yes: what is kept is decided at the trace's end.

    >>> read_value(b"Self=1-67891234-12456789abcdef0123456789;Root=1-67891233-abcdef012345678912345678;")
    SpanContext(trace_id='67891233abcdef012345678912345678', span_id='', flags='01', state='')
    """
    if len(value) > _MAX_HEADER:
        return None
    pairs: dict[bytes, bytes] = {}
    for pair in value.lower().split(b";"):
        key, _, text = pair.partition(b"=")
        pairs.setdefault(key.strip(), text.strip())
    root = _ROOT.fullmatch(pairs.get(b"root", b""))
    if root is None or not root[0][2:].strip(b"0-"):
        return None
    parent = pairs.get(b"parent", b"")
    known = _SPAN.fullmatch(parent) and parent.strip(b"0")
    sampled = pairs.get(b"sampled") != b"0"
    return SpanContext((root[1] + root[2]).decode(), parent.decode() if known else "", flags_of(sampled=sampled))


def write(span: SpanContext) -> dict[str, str]:
    """The header that tells of a span."""
    root = f"1-{span.trace_id[:8]}-{span.trace_id[8:]}"
    return {HEADER_XRAY: f"Root={root};Parent={span.span_id};Sampled={int(span.is_sampled)}"}
