"""Messages as consumers get them, of SQS (boto3, Lambda records), SNS and EventBridge: what they say of their request.

Shapes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Message.html,
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and
https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tollmeter.instrumentation.text import clean_text
from tollmeter.model.names import (
    ATTRIBUTE_AWS_TRACE,
    ATTRIBUTE_DATADOG,
    HEADER_XRAY,
    TAG_ATTEMPT,
    TAG_MESSAGE_ID,
)

_MAX_BODY: Final = 1 << 18
_Mapping = Mapping[str, Any]
_EMPTY: Final[dict[str, Any]] = {}


class Delivery(NamedTuple):
    """One delivery of one message: queue, topic or detail-type, headers as of a request, and tags."""

    route: str
    headers: dict[bytes, bytes]
    tags: dict[str, str]


def read_delivery(message: object, queue: str = "") -> Delivery:
    """What a message says; `queue` is a name, URL or ARN, for messages that do not name their queue.

    >>> read_delivery({"detail-type": "ChatCompletion", "id": "7bf73129", "detail": {}}).route
    'ChatCompletion'
    """
    found: _Mapping = message if isinstance(message, Mapping) else _EMPTY
    headers = {_bytes(name.lower()): _bytes(value) for name, value in _headers(found)}
    attempt = _member(found, "attributes", "Attributes").get("ApproximateReceiveCount")
    message_id = _first(found, "messageId", "MessageId", "id") or _member(found, "Sns").get("MessageId")
    tags = {TAG_ATTEMPT: attempt, TAG_MESSAGE_ID: message_id}
    return Delivery(_route(found, queue), headers, {name: clean_text(value) for name, value in tags.items() if value})


def queue_name(place: str) -> str:
    """The name at the end of a queue's URL or ARN.

    >>> queue_name("https://sqs.eu-central-1.amazonaws.com/123456789012/jobs"), queue_name("arn:aws:sqs:::jobs")
    ('jobs', 'jobs')
    """
    return clean_text(place).rstrip("/").rpartition("/")[2].rpartition(":")[2]


def _route(message: _Mapping, queue: str) -> str:
    if queue:
        return queue_name(queue)
    source = _first(message, "eventSourceARN") or _member(message, "Sns").get("TopicArn")
    return queue_name(source) if source else clean_text(_first(message, "detail-type") or "")


def _headers(message: _Mapping) -> Iterator[tuple[str, str]]:
    """Headers by rising precedence."""
    trace = _member(message, "attributes", "Attributes").get(ATTRIBUTE_AWS_TRACE)
    if trace:
        yield HEADER_XRAY, str(trace)
    yield from _of_attributes(_envelope(message))
    yield from _of_plain(_member(message, "detail"))
    yield from _of_attributes(_member(_member(message, "Sns"), "MessageAttributes"))
    yield from _of_attributes(_member(message, "messageAttributes", "MessageAttributes"))


def _of_attributes(attributes: _Mapping) -> Iterator[tuple[str, str]]:
    yield from _of_plain({name: _value(value) for name, value in attributes.items() if isinstance(value, Mapping)})


def _of_plain(members: _Mapping) -> Iterator[tuple[str, str]]:
    carrier = members.get(ATTRIBUTE_DATADOG)
    if carrier:
        yield from _of_carrier(carrier)
    yield from ((name, value) for name, value in members.items() if isinstance(name, str) and isinstance(value, str))


def _of_carrier(carrier: object) -> Iterator[tuple[str, str]]:
    """Datadog puts all its headers into one attribute, as JSON."""
    if isinstance(carrier, str | bytes) and len(carrier) <= _MAX_BODY:
        carrier = _json(carrier)
    if isinstance(carrier, Mapping):
        yield from ((str(name), value) for name, value in carrier.items() if isinstance(value, str))


def _value(attribute: _Mapping) -> object:
    text = _first(attribute, "stringValue", "StringValue", "Value")
    if text is not None:
        return text if _first(attribute, "Type") != "Binary" else _decoded(text)
    return _decoded(_first(attribute, "binaryValue", "BinaryValue"))


def _decoded(value: object) -> object:
    """Bytes as boto3 gives them, or in base64 as Lambda and SNS do."""
    try:
        return base64.b64decode(value) if isinstance(value, str) else value
    except (binascii.Error, ValueError):
        return value


class _Envelope(msgspec.Struct):
    MessageAttributes: dict[str, dict[str, Any]] = {}


_envelopes: Final = msgspec.json.Decoder(_Envelope)


def _envelope(message: _Mapping) -> _Mapping:
    """Attributes of a message that SNS wrapped before it came into the queue."""
    body = _first(message, "body", "Body")
    if not isinstance(body, str) or '"MessageAttributes"' not in body or len(body) > _MAX_BODY:
        return _EMPTY
    try:
        return _envelopes.decode(body).MessageAttributes
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _EMPTY


def _json(text: str | bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _first(message: _Mapping, *names: str) -> Any:
    return next((message[name] for name in names if message.get(name) is not None), None)


def _member(message: _Mapping, *names: str) -> _Mapping:
    found = _first(message, *names)
    return found if isinstance(found, Mapping) else _EMPTY


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "replace")
