"""Takes what an OTLP exporter or a tracer of Datadog sends, and throws it away; `/ping` says how many bytes came."""

from __future__ import annotations

from typing import Any

_DATADOG = {
    "/info": b'{"endpoints":["/v0.4/traces","/v0.5/traces","/evp_proxy/v2/","/evp_proxy/v4/"],"version":"7.60.0"}',
    "/v0.4/traces": b'{"rate_by_service":{}}',
    "/v0.5/traces": b'{"rate_by_service":{}}',
}
"""What Datadog's Agent answers, which its tracer wants to read."""


class Sink:
    """The ASGI app."""

    def __init__(self) -> None:
        self.received = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body, answer 200."""
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": message["type"] + ".complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        more = True
        while more:
            message = await receive()
            self.received += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = str(self.received).encode() if scope["path"] == "/ping" else _DATADOG.get(scope["path"], b"")
        kind = b"application/json" if body else b"application/x-protobuf"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def create_sink() -> Sink:
    """The app, for a server that wants a factory."""
    return Sink()
