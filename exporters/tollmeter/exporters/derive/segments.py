"""A trace to X-Ray's segment documents: a request is a segment, its steps and model calls are subsegments.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html; ids are the events' own or made of
them, so that a trace that is sent again is the same trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from tollmeter.exporters.derive import segment_blocks as blocks
from tollmeter.exporters.derive.segment_packing import Document, Node, packed
from tollmeter.exporters.derive.segment_text import MAX_STRING, clean, derived_id, name_of, span_id_of, trace_id_of
from tollmeter.exporters.derive.traces import Trace
from tollmeter.model.events import LlmCall, Request, Step
from tollmeter.model.names import PROVIDER_BEDROCK, STATUS_ERROR, STATUS_OK

_BEDROCK_NAME: Final = "Bedrock Runtime"  # as AWS's own instrumentation names the node of the map
_SDK: Final = "tollmeter"
_MAX_CLIMB: Final = 256


def documents(trace: Trace, origin: str = "") -> list[Document]:
    """The documents of a trace, each of at most 64 kB; none where it has no trace id of W3C's form.

    A call whose request is another document is a subsegment of its own, below the span it was made in; one that was
    made outside of any request is a subsegment of a segment that stands for its service.

    Args:
        trace: what one process did for one request.
        origin: the AWS resource it ran on, such as `AWS::ECS::Container`; empty where that is not known.
    """
    trace_id = trace_id_of(trace.trace_id)
    if not trace_id:
        return []
    if trace.request is None:
        return [document for call in trace.calls for document in _without_request(call, trace_id, origin)]
    budget = blocks.MAX_ANNOTATIONS
    root = _request(trace.request, trace_id, origin)
    budget -= len(root.body["annotations"])
    steps = [_step(step, trace.request, number) for number, step in enumerate(trace.request.steps)]
    calls = _calls(trace.calls, trace.request, budget)
    _hang(root, [*steps, *calls])
    return packed(root, trace_id)


def _without_request(call: LlmCall, trace_id: str, origin: str) -> list[Document]:
    [node] = _calls([call], None, blocks.MAX_ANNOTATIONS)
    parent_id = span_id_of(call.parent_span_id)
    if call.request_id and parent_id:
        node.body |= {"type": "subsegment", "trace_id": trace_id, "parent_id": parent_id}
        return packed(node, trace_id)
    times = {name: node.body[name] for name in ("start_time", "end_time")}
    segment = _segment(derived_id(call.event_id, "segment"), call, trace_id, origin, times)
    segment.children.append(node)
    return packed(segment, trace_id)


def _request(request: Request, trace_id: str, origin: str) -> Node:
    segment_id = span_id_of(request.span_id) or derived_id(request.event_id)
    node = _segment(segment_id, request, trace_id, origin, blocks.times(request.timestamp, 0.0, request.duration_ms))
    annotations = blocks.annotations_of_request(request)
    failed = bool(request.error_type) and not request.client_disconnected
    node.lines = 1
    node.body |= {
        **blocks.http_of_request(request),
        **blocks.outcome(segment_id, request.status_code, request.error_type, failed=failed, remote=False),
        "annotations": annotations,
        **blocks.metadata(request, annotations),
    }
    return node


def _segment(
    segment_id: str, event: Request | LlmCall, trace_id: str, origin: str, times: dict[str, float]
) -> Node:  # fmt: skip
    body: dict[str, Any] = {
        "name": name_of(event.service, "unnamed"),
        "id": segment_id,
        "trace_id": trace_id,
        **times,
        "aws": {"xray": {"sdk": _SDK, "auto_instrumentation": True}},
    }
    if parent_id := span_id_of(event.parent_span_id):
        body["parent_id"] = parent_id
    if event.version:
        body["service"] = {"version": clean(event.version)[:MAX_STRING]}
    if event.user_id:
        body["user"] = clean(event.user_id)[:MAX_STRING]
    if event.account_id:
        body["aws"]["account_id"] = clean(event.account_id)[:MAX_STRING]
    if origin:
        body["origin"] = origin
    return Node(segment_id, body)


def _step(step: Step, request: Request, number: int) -> Node:
    segment_id = span_id_of(step.span_id) or derived_id(request.event_id, str(number))
    name = name_of(step.name, "step")
    body = {
        "name": name,
        "id": segment_id,
        **blocks.times(request.timestamp, step.start_ms, step.duration_ms),
        **blocks.outcome(segment_id, None, step.error_type, failed=bool(step.error_type), remote=False),
    }
    if name != step.name:
        body["metadata"] = {"tollmeter": {"name": clean(step.name)}}
    return Node(segment_id, body, step.parent_span_id)


def _calls(calls: Iterable[LlmCall], request: Request | None, budget: int) -> list[Node]:
    """Calls as nodes; those that failed, then the dearest, are the first to be annotated while X-Ray indexes more."""
    annotated: dict[str, dict[str, Any]] = {}
    for call in sorted(calls, key=_prominence):
        found = blocks.annotations_of_call(call) | _own_attribution(call, request)
        annotated[call.event_id] = found if len(found) <= budget else {}
        budget -= len(annotated[call.event_id])
    return [_call(call, annotated[call.event_id]) for call in calls]


def _prominence(call: LlmCall) -> tuple[bool, Decimal]:
    cost = call.cost_usd or Decimal(0)
    return call.status == STATUS_OK, -cost if cost.is_finite() else Decimal(0)


def _own_attribution(call: LlmCall, request: Request | None) -> dict[str, Any]:
    of_request = blocks.shared_annotations(request) if request else {}
    return {key: value for key, value in blocks.shared_annotations(call).items() if of_request.get(key) != value}


def _call(call: LlmCall, annotations: dict[str, Any]) -> Node:
    segment_id = span_id_of(call.span_id) or derived_id(call.event_id)
    body = {
        "name": name_of(call.provider, "model"),
        "id": segment_id,
        **blocks.times(call.timestamp, 0.0, call.latency_ms or 0.0),
        "namespace": "remote",
        **blocks.http_of_call(call),
        **blocks.outcome(
            segment_id, call.http_status, call.error_type, failed=call.status == STATUS_ERROR, remote=True
        ),
        **({"annotations": annotations} if annotations else {}),
        **blocks.metadata(call, annotations),
    }
    if call.provider == PROVIDER_BEDROCK:
        body |= _aws_api(call)
    return Node(segment_id, body, call.parent_span_id, lines=1)


def _aws_api(call: LlmCall) -> dict[str, Any]:
    told = {"region": call.inference_region, "request_id": call.provider_request_id}
    block = {name: clean(text)[:MAX_STRING] for name, text in told.items() if text}
    return {"name": _BEDROCK_NAME, "namespace": "aws", **({"aws": block} if block else {})}


def _hang(root: Node, nodes: list[Node]) -> None:
    """Hang every node below the one it names, or below the root where there is none, or only in a circle."""
    known = {root.segment_id: root}
    for node in nodes:
        if node.segment_id in known:  # unique within a document
            node.segment_id = node.body["id"] = derived_id(node.segment_id, str(len(known)))
        known[node.segment_id] = node
    for node in nodes:
        parent = known.get(node.parent_id, root)
        node.parent = root if _is_within(parent, node) else parent
        node.parent.children.append(node)


def _is_within(node: Node, ancestor: Node) -> bool:
    for _ in range(_MAX_CLIMB):
        if node is ancestor:
            return True
        if node.parent is None:
            return False
        node = node.parent
    return True
