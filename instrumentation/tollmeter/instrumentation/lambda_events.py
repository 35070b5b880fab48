"""What invoked a Lambda function, by the shape of its event: API Gateway 1 and 2, load balancer, function URL, queues.

Shapes: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html,
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html,
https://docs.aws.amazon.com/lambda/latest/dg/services-alb.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollmeter.instrumentation.messages import read_delivery
from tollmeter.model.names import METHOD_LAMBDA, METHOD_QUEUE, METHOD_WEBSOCKET, TAG_FAILED_RECORDS, TAG_RECORDS

_OK: Final = 200
_SERVER_ERROR: Final = 500
_Mapping = Mapping[str, Any]


class Trigger(NamedTuple):
    """The request that an invocation serves, as far as its event tells."""

    method: str
    route: str
    headers: dict[bytes, bytes]
    tags: dict[str, str]
    path: str = ""
    is_http: bool = False


class Answer(NamedTuple):
    """What a handler returned, as far as it concerns the request."""

    status_code: int | None
    response_bytes: int
    tags: dict[str, str]


def read_trigger(event: object, function_name: str) -> Trigger:
    """What an event says; one of no known shape was sent by a caller of the function itself."""
    if isinstance(event, Mapping):
        found = _http(event) or _records(event) or _bus_event(event)
        if found is not None:
            return found
    return Trigger(METHOD_LAMBDA, function_name, {}, {})


def read_answer(trigger: Trigger, result: object) -> Answer:
    """The status and size that API Gateway and the others make of a result, and the records that were given back."""
    found: _Mapping = result if isinstance(result, Mapping) else {}
    if not trigger.is_http:
        failed = found.get("batchItemFailures")
        return Answer(None, 0, {TAG_FAILED_RECORDS: str(len(failed))} if failed and isinstance(failed, list) else {})
    status = found.get("statusCode", _OK)
    is_known = isinstance(status, int | str) and str(status).isdigit()
    return Answer(int(status) if is_known else _SERVER_ERROR, _size(found), {})


def _http(event: _Mapping) -> Trigger | None:
    context = event.get("requestContext")
    if not isinstance(context, Mapping):
        return None
    if isinstance(context.get("http"), Mapping):
        return _http_2(event, context)
    if "httpMethod" in event:
        route = "" if "elb" in context else event.get("resource")
        return _trigger(event, event["httpMethod"], route, event.get("path"))
    if context.get("eventType") in ("CONNECT", "MESSAGE", "DISCONNECT"):
        return _trigger(event, METHOD_WEBSOCKET, context.get("routeKey"), "")
    return None


def _http_2(event: _Mapping, context: _Mapping) -> Trigger:
    # `$default` catches all paths, and a raw path never stands in for a route: it is unbounded.
    route = str(event.get("routeKey") or "")
    template = "" if route.startswith("$") else route.rpartition(" ")[2]
    return _trigger(event, context["http"].get("method"), template, event.get("rawPath"))


def _trigger(event: _Mapping, method: object, route: object, path: object) -> Trigger:
    return Trigger(str(method or ""), str(route or ""), _headers(event), {}, str(path or ""), is_http=True)


def _headers(event: _Mapping) -> dict[bytes, bytes]:
    single, many = event.get("headers"), event.get("multiValueHeaders")
    found = {name: values[-1] for name, values in many.items() if values} if isinstance(many, Mapping) else {}
    found |= dict(single) if isinstance(single, Mapping) else {}
    return {
        str(name).lower().encode("utf-8", "replace"): str(value).encode("utf-8", "replace")
        for name, value in found.items()
    }


def _records(event: _Mapping) -> Trigger | None:
    """A batch; one of a single record has that record's trace, attribution and attempt."""
    records = event.get("Records")
    if not isinstance(records, list) or not records:
        return None
    delivery = read_delivery(records[0])
    tags = {TAG_RECORDS: str(len(records))}
    if len(records) > 1:
        return Trigger(METHOD_QUEUE, delivery.route, {}, tags)
    return Trigger(METHOD_QUEUE, delivery.route, delivery.headers, delivery.tags | tags)


def _bus_event(event: _Mapping) -> Trigger | None:
    if "detail-type" not in event:
        return None
    delivery = read_delivery(event)
    return Trigger(METHOD_QUEUE, delivery.route, delivery.headers, delivery.tags)


def _size(answer: _Mapping) -> int:
    body = answer.get("body")
    if not isinstance(body, str):
        return 0
    if answer.get("isBase64Encoded"):
        return len(base64.b64decode(body))
    return len(body.encode("utf-8", "replace"))
