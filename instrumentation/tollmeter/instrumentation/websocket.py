"""What is seen of a WebSocket: bytes sent, the first message, who closed it and with which code (RFC 6455 §7.4)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.names import TAG_CLOSE_CODE

if TYPE_CHECKING:
    from tollmeter.instrumentation.context import RequestContext
    from tollmeter.instrumentation.outcome import Outcome

_ACCEPTED: Final = 101
_REFUSED: Final = 403
_NORMAL: Final = 1000
_NO_CODE: Final = 1005
_LOST: Final = 1006
_LEFT: Final = frozenset({1001, _LOST})  # a page that was closed, a connection that broke
_FAILED: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def watch_sent(context: RequestContext, outcome: Outcome, message: MutableMapping[str, Any]) -> bool:
    """Take note of a message of the app; True when it is the last."""
    kind = message["type"]
    if kind == "websocket.send":
        if outcome.ttfb_ms is None:
            outcome.ttfb_ms = context.elapsed_ms()
        outcome.response_bytes += _size(message)
    elif kind == "websocket.accept":
        outcome.status_code = _ACCEPTED
    elif kind == "websocket.close":
        _closed(context, outcome, message.get("code") or _NORMAL)
        return True
    return False


def watch_disconnect(context: RequestContext, outcome: Outcome, message: MutableMapping[str, Any]) -> None:
    """The connection is gone: closed by the client in good order or not."""
    _gone(context, outcome, message.get("code") or _NO_CODE)


def watch_error(context: RequestContext, outcome: Outcome, error: BaseException) -> None:
    """The client's end came as an error of the app: of `receive` or of `send`."""
    _gone(context, outcome, getattr(error, "code", 0) or _LOST)


def _gone(context: RequestContext, outcome: Outcome, code: int) -> None:
    if TAG_CLOSE_CODE not in context.tags:
        context.tags[TAG_CLOSE_CODE] = str(code)
        outcome.client_disconnected = code in _LEFT


def _closed(context: RequestContext, outcome: Outcome, code: int) -> None:
    if outcome.status_code is None:
        outcome.status_code = _REFUSED
    else:
        context.tags[TAG_CLOSE_CODE] = str(code)
        outcome.error_type = outcome.error_type or (str(code) if code in _FAILED else "")


def _size(message: MutableMapping[str, Any]) -> int:
    text = message.get("text")
    if text is None:
        return len(message.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
