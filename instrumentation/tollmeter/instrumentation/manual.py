"""What applications say themselves: calls that no tap sees, and scores for calls."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Final, Self

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.answers import read_answer
from tollmeter.instrumentation.calls import Call, watching
from tollmeter.instrumentation.context import current_request
from tollmeter.instrumentation.guard import guarded, losses
from tollmeter.instrumentation.text import clean_name, clean_text
from tollmeter.model import names
from tollmeter.model.events import EVENT_ID, MAX_COUNT, MAX_NUMBER, Evaluation, utc_now
from tollmeter.model.ids import new_event_id
from tollmeter.pricing import Usage

LOSS_COUNT: Final = "llm_call_invalid_count"
LOSS_UNREAD: Final = "llm_call_unread_answer"
_FACTS: Final[dict[str, type]] = {
    **dict.fromkeys(
        (
            "response_model", "resource_id", "provider_request_id", "caller_principal", "service_tier",
            "inference_region", "finish_reason", "fallback_from",
        ), str,
    ),
    **dict.fromkeys(("http_status", "max_tokens", "attempt"), int),
    "cache_hit": bool,
}  # fmt: skip
_MAX_TOOLS: Final = 64


class llm_call:  # noqa: N801  reads as a statement: with llm_call(provider=…, model=…) as call:
    """Record a model call that no tap sees: gRPC, a WebSocket, an SDK of your own.

    Inside the block taps are silent, so a call that is also seen on the wire is counted once.

    Example:
        with llm_call(provider="openai", model="gpt-4o-realtime", stream=True) as call:
            call.first_token()
            call.record_usage(input_tokens=812, output_tokens=97, cache_read_tokens=512)

    With `cache_hit=True` the answer came from the application's own cache: it costs 0, consumed no tokens, and saved
    what is recorded in the block.

    Raises:
        SpendLimitError: on entering, where a `spend_limit` around it is spent.
    """

    __slots__ = ("_call", "_error", "_facts", "_operation", "_provider", "_unread")

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        operation: str = names.OPERATION_CHAT,
        stream: bool = False,
        max_tokens: int | None = None,
        cache_hit: bool = False,
    ) -> None:
        self._provider = clean_name(provider)
        self._operation = clean_name(operation)
        self._facts: dict[str, Any] = {
            "request_model": clean_name(model),
            "stream": bool(stream),
            "max_tokens": max_tokens if _is_count(max_tokens) else None,
            "cache_hit": bool(cache_hit),
        }
        self._call: Call | None = None
        self._error = ""
        self._unread = False

    @property
    def call_id(self) -> str:
        """Id of the call's event, for `evaluate`; empty outside of the block or where nothing is instrumented."""
        return self._call.call_id if self._call else ""

    def __enter__(self) -> Self:
        self._begin()
        watching.set(watching.get() + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # No token: blocks in generators may be left in any order, and in another context than they were entered in.
        watching.set(max(0, watching.get() - 1))
        self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    @guarded(default=None)
    def _begin(self) -> None:
        recorder = active_recorder()
        if recorder is None:
            losses.add("llm_call_without_instrument")
            return
        call = Call(recorder, provider=self._provider, operation=self._operation)
        call.facts |= {name: value for name, value in self._facts.items() if value is not None and value is not False}
        if self._facts["cache_hit"]:
            call.limits = ()  # nothing is sent, nothing is spent
        call.admit()
        if recorder.capture is not None:
            call.content = recorder.capture.begin(call, None)
        self._call = call

    @guarded(default=None)
    def _end(self, error: BaseException | None) -> None:
        if self._unread and self._call and self._call.usage is None:
            losses.add(LOSS_UNREAD)
        if self._call is None:
            return
        if error is None:
            self._call.finish(names.STATUS_ERROR if self._error else names.STATUS_OK, self._error)
        else:
            self._call.fail(error)

    @guarded(default=None)
    def record(self, answer: object) -> None:
        """Take over what an answer says: models, tier, finish reason, request id, usage and inferences inside it.

        It takes what `tollmeter.pricing.usage_of` takes, a chunk or event of a stream (call it for each: they are
        merged as on the wire), or a list of those. An iterator is not read, since that would take it from the caller.
        What is not understood leaves the usage missing, and is counted as `llm_call_unread_answer`.
        """
        for each in answer if isinstance(answer, list | tuple) else (answer,):
            error = read_answer(self._call, each) if self._call else ""
            self._unread = self._unread or error is None
            self._error = error or self._error

    @guarded(default=None)
    def record_input(self, asked: object) -> None:
        """Say what was asked: a text, a list of messages, or the request's document; kept where content is recorded."""
        if self._call is not None and self._call.content is not None:
            self._call.content.asked = asked

    @guarded(default=None)
    def record_usage(self, *, server_tool_calls: dict[str, int] | None = None, **tokens: int) -> None:
        """Say what was used, in the inclusive token fields of an `llm_call`; the newest statement holds."""
        if self._call is not None:
            tools = list((server_tool_calls or {}).items())[:_MAX_TOOLS]
            self._call.usage = Usage(
                **{name: _count(value) for name, value in tokens.items()},
                server_tool_calls={clean_name(tool): calls for tool, calls in tools if _count(calls) is not None},
                source=names.USAGE_REPORTED,
            )

    @guarded(default=None)
    def record_facts(self, **facts: Any) -> None:
        """Say more of the call, such as response_model, service_tier, finish_reason or fallback_from."""
        for name, value in facts.items():
            if self._call is None or name not in _FACTS:
                losses.add("llm_call_unknown_fact")
            elif type(value) is not _FACTS[name] or (type(value) is int and not _is_count(value)):
                losses.add("llm_call_invalid_fact")
            else:
                self._call.facts[name] = clean_name(value) if isinstance(value, str) else value

    @guarded(default=None)
    def first_token(self) -> None:
        """The first content has come."""
        if self._call is not None:
            self._call.saw_byte()
            self._call.saw_token()


@guarded(default=None)
def record_cache_hit(
    *,
    provider: str,
    model: str,
    answer: object = None,
    operation: str = names.OPERATION_CHAT,
    server_tool_calls: dict[str, int] | None = None,
    **tokens: int,
) -> None:
    """Record that the application's own cache answered instead of a model.

    One `llm_call` with `cache_hit`, cost 0 and no tokens; `cache_savings_usd` is what the call would have cost, by the
    usage in `answer` (as of `llm_call.record`) or by `tokens`, and null where no price is known.

    Example:
        record_cache_hit(provider="openai", model="gpt-4o", input_tokens=812, output_tokens=97)
    """
    with llm_call(provider=provider, model=model, operation=operation, cache_hit=True) as call:
        if answer is not None:
            call.record(answer)
        if tokens or server_tool_calls:
            call.record_usage(server_tool_calls=server_tool_calls, **tokens)


@guarded(default=None)
def evaluate(call_id: str, name: str, score: float, *, evaluator: str = "", comment: str = "") -> None:
    """Score one model call, so that quality can be read next to cost.

    `call_id` is `current_request().last_call_id` or `llm_call.call_id`. Never raises: what cannot be recorded is
    counted.
    """
    recorder = active_recorder()
    number = float(score)
    if recorder is None or not _is_event_id(call_id) or not abs(number) <= MAX_NUMBER:
        losses.add("evaluation_refused")
        return
    context = current_request()
    recorder.write(
        Evaluation(
            **recorder.identity,
            event_id=new_event_id(),
            timestamp=utc_now(),
            losses=losses.take(),
            request_id=context.request_id if context else "",
            trace_id=context.trace_id if context else "",
            **(context.attribution if context else recorder.attributor.defaults),
            tags=recorder.tags_of(context),
            route=context.route if context else "",
            call_id=call_id,
            name=clean_name(name),
            score=number,
            evaluator=clean_name(evaluator),
            comment=clean_text(comment),
        )
    )


def _is_event_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(EVENT_ID, value) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _count(value: object) -> int | None:
    if value is None or _is_count(value):
        return value  # type: ignore[return-value]  # what a count is has been looked at
    losses.add(LOSS_COUNT)
    return None
