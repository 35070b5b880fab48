"""`fallback_from`: the calls made inside stand in for another model."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from tollmeter.instrumentation.context import CARRIED
from tollmeter.instrumentation.text import clean_name

standing_in_for: ContextVar[str] = ContextVar("tollmeter_fallback_from", default="")
CARRIED.append(standing_in_for)


class fallback_from:  # noqa: N801  reads as a statement: with fallback_from("gpt-4o"):
    """Mark the model calls made inside as standing in for another model: `with fallback_from("gpt-4o"): …`.

    What a tap or `llm_call` records here says `fallback_from`; nothing else changes. The innermost block holds.
    """

    __slots__ = ("_model", "_token")

    def __init__(self, model: str) -> None:
        self._model = clean_name(model)

    def __enter__(self) -> Self:
        self._token: Token[str] = standing_in_for.set(self._model)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            standing_in_for.reset(self._token)
        except ValueError:  # left in another context than it was entered in, as async generators do
            standing_in_for.set("")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
