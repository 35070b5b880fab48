"""What is seen of a request on its way out, whichever way it came in."""

from __future__ import annotations

from typing import Final

_GONE: Final = frozenset(
    {"ClientDisconnect", "WebSocketDisconnect", "ClientDisconnected"}  # of Starlette, and of uvicorn
)


class Outcome:
    """Status, sizes and times; the recorder makes the `request` event of it and of the request's context."""

    __slots__ = (
        "client_disconnected", "content_length", "error_type", "method", "response_bytes", "status_code", "ttfb_ms",
    )  # fmt: skip

    def __init__(self, method: str) -> None:
        self.method = method
        self.status_code: int | None = None
        self.ttfb_ms: float | None = None
        self.response_bytes = 0
        self.client_disconnected = False
        self.error_type = ""
        self.content_length: int | None = None


def name_of(error: BaseException | None) -> str:
    """The name of an error's class, empty where there is none."""
    return type(error).__name__ if error is not None else ""


def is_gone(error: BaseException) -> bool:
    """Whether an error that leaves the app only says that the client is gone."""
    return type(error).__name__ in _GONE
