"""The trace of the current request, and its attribution, for a message that another service will consume."""

from __future__ import annotations

from tollmeter.instrumentation.context import current_request, parent_span_id
from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.propagation.span_context import SpanContext


def trace_headers() -> dict[str, str]:
    """The headers of the setting `propagate`, and `baggage` by `propagate_baggage`; empty outside of a request.

    For messages whose headers or body are plain: Kafka, RabbitMQ, the `detail` of an EventBridge event.
    """
    return _headers() or {}


def trace_attributes() -> dict[str, dict[str, str]]:
    """The same as `MessageAttributes` of SQS and SNS, which allow ten.

    Example:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=trace_attributes())
    """
    return {name: {"DataType": "String", "StringValue": value} for name, value in trace_headers().items()}


@guarded(default=None)
def _headers() -> dict[str, str] | None:
    context = current_request()
    if context is None:
        return None
    outgoing = context.recorder.outgoing
    span = SpanContext(context.trace_id, parent_span_id(context), context.trace_flags, context.trace_state)
    return outgoing.headers(outgoing.context_headers(span), context.attribution, _own)


def _own(name: str) -> None:
    """A message has no headers yet."""
    del name
