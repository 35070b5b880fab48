"""Calls that were counted lately, so that a span which tells of one of them again is not counted."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.instrumentation.otel.open_spans import forget_oldest

MAX_SEEN: Final = 512
MAX_SCOPES: Final = 32
OWN: Final = ""
"""The scope of calls that a tap or `llm_call` saw."""

_NONE: Final[dict[str, SeenCall]] = {}


class SeenCall:
    """One call in flight or just over; its `facts` are the call's own, so models are known once they are read."""

    __slots__ = ("claimed_by", "ended_ns", "facts", "input_tokens", "response_id", "scope", "started_ns")

    def __init__(self, scope: str, facts: dict[str, Any], started_ns: int) -> None:
        self.scope = scope
        self.facts = facts
        self.started_ns = started_ns
        self.ended_ns: int | None = None
        self.input_tokens: int | None = None
        self.response_id = ""
        self.claimed_by: tuple[str, ...] = ()

    def is_told_by(self, other: SeenCall, *, is_detached: bool) -> bool:
        """Whether another emitter's span tells of this very call: at the same time, with the same response id.

        Where one of them has no id, a detached span is compared by model and input tokens instead. A span that is
        current around its call needs no such guess: what it surrounds is known.
        """
        if not self._overlaps(other) or other.scope in self.claimed_by:
            return False
        if self.response_id and other.response_id:
            return self.response_id == other.response_id
        return is_detached and self._has_same_model(other) and self._has_same_input(other)

    def _overlaps(self, other: SeenCall) -> bool:
        ended = other.ended_ns if other.ended_ns is not None else other.started_ns
        return self.started_ns <= ended and (self.ended_ns is None or self.ended_ns >= other.started_ns)

    def _has_same_model(self, other: SeenCall) -> bool:
        return any(_is_same(one, two) for one in _models(self) for two in _models(other))

    def _has_same_input(self, other: SeenCall) -> bool:
        return self.input_tokens is None or other.input_tokens is None or self.input_tokens == other.input_tokens


class SeenCalls:
    """The newest `MAX_SEEN` calls of each emitter; without a lock, which a fork could leave held in the child."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, SeenCall]] = {}

    def add(self, call_id: str, seen: SeenCall) -> None:
        """A call begins, or was just written."""
        of_scope = self._seen.get(seen.scope)
        if of_scope is None:
            of_scope = self._seen[seen.scope] = {}
            if len(self._seen) > MAX_SCOPES:
                forget_oldest(self._seen)
        of_scope[call_id] = seen
        if len(of_scope) > MAX_SEEN:
            forget_oldest(of_scope)

    def own(self, call_id: str) -> SeenCall | None:
        """A call of a tap or `llm_call` that is still remembered."""
        return self._seen.get(OWN, _NONE).get(call_id)

    def claim(self, told: SeenCall, *, is_detached: bool) -> bool:
        """Whether a span tells of a call that was counted; each call is claimed once by each emitter."""
        for scope, of_scope in list(self._seen.items()):
            if scope == told.scope or (scope == OWN and not is_detached):  # a tap knows no response id
                continue
            for seen in reversed(list(of_scope.values())):
                if seen.is_told_by(told, is_detached=is_detached):
                    seen.claimed_by = (*seen.claimed_by, told.scope)
                    return True
        return False


def _models(seen: SeenCall) -> list[str]:
    return [model for name in ("request_model", "response_model") if (model := seen.facts.get(name))]


def _is_same(one: str, two: str) -> bool:
    """Emitters drop or add a prefix, as of a Bedrock vendor or a LiteLLM provider.

    >>> _is_same("us.anthropic.claude-sonnet-4-5", "claude-sonnet-4-5"), _is_same("gpt-4o", "gpt-4o-mini")
    (True, False)
    """
    return one.endswith(two) or two.endswith(one)
