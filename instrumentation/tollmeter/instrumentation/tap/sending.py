"""The wrapper around a sending method that taps share: watch, keep inner taps silent, follow the answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.calls import watching

if TYPE_CHECKING:
    from tollmeter.instrumentation.tap.exchange import Exchange

Send = Callable[..., Any]
Begin = Callable[[Any], "Exchange | None"]
Follow = Callable[["Exchange", Any, Any], None]
"""Gets the watch, the request and the response."""

_MARK: Final = "_tollmeter_original"


def is_tapped(send: Send) -> bool:
    """Whether a sending method has been wrapped before."""
    return hasattr(send, _MARK)


def tapped(original: Send, begin: Begin, follow: Follow) -> Send:
    """Wrap `send(self, request, …)`."""

    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        watch = begin(request)
        if watch is None:
            return original(self, request, *args, **kwargs)
        token = watching.set(True)
        try:
            response = original(self, request, *args, **kwargs)
        except BaseException as error:
            watch.fail(error)
            raise
        finally:
            watching.reset(token)
        follow(watch, request, response)
        return response

    setattr(send, _MARK, original)
    return send


def tapped_async(original: Send, begin: Begin, follow: Follow) -> Send:
    """Wrap `async send(self, request, …)`."""

    @functools.wraps(original)
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        watch = begin(request)
        if watch is None:
            return await original(self, request, *args, **kwargs)
        token = watching.set(True)
        try:
            response = await original(self, request, *args, **kwargs)
        except BaseException as error:
            watch.fail(error)
            raise
        finally:
            watching.reset(token)
        follow(watch, request, response)
        return response

    setattr(send, _MARK, original)
    return send
