"""What the forwarder sends to, on loopback: it answers as AWS, an Agent and a collector do, and keeps nothing."""

from __future__ import annotations

from typing import Any

_JSON = b"application/x-amz-json-1.0"
_REQUEST_ID = [(b"x-amzn-requestid", b"r-1"), (b"x-amz-request-id", b"r-1")]


class Receivers:
    """The ASGI app; `/received` says how many bytes came."""

    def __init__(self) -> None:
        self.received = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body, answer what its sender waits for."""
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": message["type"] + ".complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(parts)
        self.received += len(body)
        status, kind, answer = self._answer(scope, body)
        headers = [*_REQUEST_ID, (b"etag", b'"e"'), (b"content-length", str(len(answer)).encode())]
        headers += [(b"content-type", kind)] if answer else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, bytes, bytes]:
        target = dict(scope["headers"]).get(b"x-amz-target", b"")
        if scope["path"] == "/received":
            return 200, b"text/plain", str(self.received).encode()
        if scope["method"] == "HEAD":  # no object is there yet
            return 404, b"", b""
        if scope["path"] == "/TraceSegments":
            return 200, _JSON, b'{"UnprocessedTraceSegments":[]}'
        if target.endswith(b".PutRecordBatch"):
            taken = b",".join([b'{"RecordId":"1"}'] * body.count(b'"Data"'))
            return 200, _JSON, b'{"FailedPutCount":0,"RequestResponses":[' + taken + b"]}"
        return 200, _JSON, b"{}" if target else b""


def create_receivers() -> Receivers:
    """The app, for a server that wants a factory."""
    return Receivers()
