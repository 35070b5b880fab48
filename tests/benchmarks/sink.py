"""Takes what an OTLP exporter sends, and throws it away; `/ping` says how many bytes came."""

from __future__ import annotations

from typing import Any


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
        body = str(self.received).encode() if scope["path"] == "/ping" else b""
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x-protobuf")]}
        )
        await send({"type": "http.response.body", "body": body})


def create_sink() -> Sink:
    """The app, for a server that wants a factory."""
    return Sink()
