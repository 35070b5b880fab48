"""`spend_limit`: what is refused, what is counted, and that nothing refused is sent."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal, localcontext
from types import ModuleType
from typing import Any, cast

import httpx
import httpx2
import pytest

from tollmeter.instrumentation import (
    SpendLimitError,
    active,
    current_request,
    instrument,
    llm_call,
    record_cache_hit,
    spend,
    spend_limit,
)
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.errors import SettingError
from tollmeter.model.events import LlmCall, decode

URL = "http://llm.test/v1/chat/completions"
COST = Decimal("0.00225")
ZERO = Decimal(0)


@pytest.fixture
def events() -> Iterator[MemoryWriter]:
    writer = MemoryWriter()
    active._default.clear()
    losses.take()
    instrument(writer=writer, mode="lean", service="svc", providers={"llm.test": "openai"})
    yield writer
    active._default.clear()


def calls_of(writer: MemoryWriter) -> list[LlmCall]:
    gc.collect()
    return [event for line in writer.lines if isinstance(event := decode(line), LlmCall)]


def call(cost_of: int = 1, *, model: str = "gpt-4o", max_tokens: int | None = None, known: bool = True) -> None:
    """A call that costs some times 0.00225."""
    with llm_call(provider="openai", model=model, max_tokens=max_tokens) as made:
        if known:
            made.record_usage(input_tokens=1000 * cost_of, output_tokens=50 * cost_of, cache_read_tokens=600 * cost_of)


class Provider:
    """A provider in memory that counts what reaches it."""

    def __init__(self, module: ModuleType = httpx2) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
        self.sent = 0
        self.module = module
        self.answer = {"model": "gpt-4o-2024-08-06", "choices": [], "usage": usage}

    def respond(self, _request: Any) -> Any:
        self.sent += 1
        return self.module.Response(200, json=self.answer)

    def ask(self, **body: Any) -> None:
        with self.module.Client(transport=self.module.MockTransport(self.respond)) as http:
            http.post(URL, json={"model": "gpt-4o", "messages": []} | body)

    async def ask_async(self) -> None:
        async with self.module.AsyncClient(transport=self.module.MockTransport(self.respond)) as http:
            await http.post(URL, json={"model": "gpt-4o", "messages": []})


def test_a_call_past_the_limit_is_refused_with_the_limit_the_spent_and_the_calls(events: MemoryWriter) -> None:
    with spend_limit(usd="0.004", name="checkout") as limit:
        call()
        assert (limit.spent_usd, limit.left_usd, limit.calls) == (COST, Decimal("0.00175"), 1)
        call()
        with pytest.raises(SpendLimitError) as caught:
            call()
    text = "spend limit 'checkout' of $0.004 is spent: $0.004500000000 in 2 calls; the call to gpt-4o was not sent"
    assert str(caught.value) == text
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.limit_usd, error.spent_usd, error.calls) == (text, Decimal("0.004"), 2 * COST, 2)
    assert (limit.left_usd, limit.calls, limit.refused_calls) == (ZERO, 2, 1)
    call()  # outside of the block


def test_a_refused_call_is_a_row_without_usage_or_cost(events: MemoryWriter) -> None:
    with spend_limit(usd=0), pytest.raises(SpendLimitError):
        call(model="gpt-4o")
    (row,) = calls_of(events)
    assert (row.status, row.error_type, row.request_model) == ("error", "SpendLimitError", "gpt-4o")
    assert (row.usage_source, row.input_tokens, row.cost_usd, row.http_status) == ("missing", None, None, None)


def test_a_loop_that_goes_on_cannot_fill_the_disk(events: MemoryWriter) -> None:
    with spend_limit(usd=0) as limit:
        for _ in range(spend.MAX_REFUSED_ROWS + 7):
            with pytest.raises(SpendLimitError):
                call()
    assert (len(calls_of(events)), limit.refused_calls) == (100, 107)
    assert losses.take() == {"refused_call_over_cap": 7}


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_nothing_refused_is_sent_by_a_tap(events: MemoryWriter, module: ModuleType) -> None:
    provider = Provider(module)
    with spend_limit(usd=COST):
        provider.ask()
        for _ in range(3):
            with pytest.raises(SpendLimitError, match=r"\$0.00225\d* in 1 calls; the call to gpt-4o was not sent"):
                provider.ask()
    assert provider.sent == 1
    assert [row.error_type for row in calls_of(events)] == ["", *["SpendLimitError"] * 3]


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_request_built_before_the_limit_was_spent_is_refused_when_it_is_sent(
    events: MemoryWriter, module: ModuleType
) -> None:
    provider = Provider(module)
    with module.Client(transport=module.MockTransport(provider.respond)) as http, spend_limit(usd=COST):
        request = http.build_request("POST", URL, json={"model": "gpt-4o", "messages": []})
        call()
        with pytest.raises(SpendLimitError):
            http.send(request)
    assert provider.sent == 0


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("limit", [{"usd": 0}, {"usd": 1, "on_unpriced": "refuse"}], ids=["spent", "unpriced"])
def test_an_sdk_that_wraps_what_send_raises_is_stopped_where_it_builds_the_request(
    events: MemoryWriter, module: ModuleType, limit: dict[str, Any]
) -> None:
    for client in (module.Client(), module.AsyncClient()):
        with spend_limit(**limit) as held, pytest.raises(SpendLimitError, match="the call to our-own was not sent"):
            client.build_request("POST", URL, json={"model": "our-own", "messages": []})
        assert (held.calls, held.refused_calls) == (0, 1)
    assert [row.error_type for row in calls_of(events)] == ["SpendLimitError"] * 2


def test_a_request_that_is_built_only_counts_for_nothing(events: MemoryWriter) -> None:
    with spend_limit(usd=1, on_unpriced="refuse") as limit, httpx2.Client() as http:
        http.build_request("POST", URL, json={"model": "gpt-4o", "messages": [], "max_tokens": 1000})
    assert (limit.calls, limit.left_usd, calls_of(events)) == (0, Decimal(1), [])


def test_other_requests_of_the_client_are_none_of_the_limits_business(events: MemoryWriter) -> None:
    provider = Provider()
    with spend_limit(usd=0), httpx2.Client(transport=httpx2.MockTransport(provider.respond)) as http:
        assert http.post("http://other.test/v1/things", json={}).status_code == 200
        assert http.get(URL).status_code == 200


def test_calls_are_limited_too(events: MemoryWriter) -> None:
    with spend_limit(calls=2) as limit:
        call()
        call()
        with pytest.raises(SpendLimitError, match=r"of 2 calls is used up: 2 calls for \$0\.0045"):
            call()
    assert limit.left_usd is None


def test_every_limit_around_a_call_holds_and_the_innermost_speaks(events: MemoryWriter) -> None:
    with spend_limit(usd="0.005", name="run") as outer:
        with spend_limit(usd="0.002", name="step"):
            call()
            with pytest.raises(SpendLimitError, match="'step'"):
                call()
        with spend_limit(usd=1, name="step"):
            call(2)
            with pytest.raises(SpendLimitError, match="'run'"):
                call()
        assert (outer.spent_usd, outer.calls) == (3 * COST, 2)


def test_one_limit_may_be_entered_again(events: MemoryWriter) -> None:
    limit = spend_limit(usd=1)
    with limit:
        call()
    with limit, limit:
        call()
    assert (limit.spent_usd, limit.calls) == (2 * COST, 2)


def test_a_session_is_remembered_and_the_oldest_forgotten(
    events: MemoryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spend, "MAX_SESSIONS", 2)
    monkeypatch.setattr(spend, "_sessions", spend._Sessions())
    with spend_limit(usd="0.004", session="a"):
        call()
    with spend_limit(usd="0.004", session="a") as again:
        call()
        with pytest.raises(SpendLimitError, match="'a'"):
            call()
    assert again.spent_usd == 2 * COST
    with spend_limit(usd=1, session="a"):
        for other in ("b", "c", "d"):
            spend_limit(usd=1, session=other)
    assert spend_limit(usd=1, session="a").spent_usd == 2 * COST  # it was open, so another was forgotten
    for other in ("e", "f"):
        spend_limit(usd=1, session=other)
    assert spend_limit(usd=1, session="a").spent_usd == ZERO
    assert losses.take()["spend_session_forgotten"] == 5
    assert len(spend._sessions._accounts) == 2


def test_a_session_inside_itself_is_charged_once(events: MemoryWriter) -> None:
    with spend_limit(usd=1, session="twice"), spend_limit(usd=1, session="twice") as limit:
        call()
    assert (limit.spent_usd, limit.calls) == (COST, 1)


def test_tasks_and_threads_share_the_limit(events: MemoryWriter) -> None:
    provider = Provider()

    async def run() -> tuple[spend_limit, list[BaseException | None]]:
        async with spend_limit(usd="0.01") as limit:
            await asyncio.gather(provider.ask_async(), asyncio.to_thread(provider.ask))
            tasks = [asyncio.create_task(provider.ask_async()) for _ in range(20)]
            return limit, await asyncio.gather(*tasks, return_exceptions=True)

    limit, outcomes = asyncio.run(run())
    refused = [outcome for outcome in outcomes if isinstance(outcome, SpendLimitError)]
    assert (provider.sent, len(refused), limit.calls) == (5, 17, 5)
    assert limit.spent_usd == 5 * COST


def test_a_bare_executor_needs_the_context_handed_over(events: MemoryWriter) -> None:
    with spend_limit(usd=0), ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()
        with pytest.raises(SpendLimitError):
            pool.submit(copy_context().run, call).result()


def test_a_fan_out_is_held_at_the_price_of_max_tokens(events: MemoryWriter) -> None:
    with spend_limit(usd="0.02") as limit:
        blocks = [llm_call(provider="openai", model="gpt-4o", max_tokens=1000) for _ in range(3)]  # $0.01 each
        for block in blocks[:2]:
            block.__enter__()
        assert (limit.spent_usd, limit.left_usd) == (ZERO, ZERO)
        with pytest.raises(SpendLimitError, match=r"\$0.02\d* in 2 calls, \$0.02\d* of it held for calls in flight"):
            blocks[2].__enter__()
        for block in blocks[:2]:
            block.record_usage(input_tokens=0, output_tokens=50)
            block.__exit__(None, None, None)
        assert (limit.spent_usd, limit.left_usd) == (Decimal("0.001"), Decimal("0.019"))
        call()


def test_a_fan_out_without_max_tokens_is_held_at_the_dearest_call_so_far(events: MemoryWriter) -> None:
    with spend_limit(usd="0.012") as limit:
        call(2)
        with (
            llm_call(provider="openai", model="gpt-4o"),
            llm_call(provider="openai", model="gpt-4o"),
            pytest.raises(SpendLimitError, match=r"\$0.009\d* of it held"),
        ):
            call()
    assert (limit.calls, limit.unpriced_calls, limit.spent_usd) == (3, 2, 2 * COST)


def test_an_attempt_that_failed_is_free(events: MemoryWriter) -> None:
    with spend_limit(usd=1, on_unpriced="refuse") as limit:
        with pytest.raises(ZeroDivisionError), llm_call(provider="openai", model="gpt-4o", max_tokens=9):
            raise ZeroDivisionError
        call()
    assert (limit.spent_usd, limit.calls, limit.unpriced_calls) == (COST, 2, 0)
    assert limit.left_usd == 1 - COST  # nothing is held any more


def test_what_has_no_price_is_let_pass_and_counted_or_refused(events: MemoryWriter) -> None:
    with spend_limit(usd=1) as limit:
        call(model="our-own")
        call(known=False)
    assert (limit.spent_usd, limit.calls, limit.unpriced_calls) == (ZERO, 2, 2)
    with spend_limit(usd=1, on_unpriced="refuse"):
        with pytest.raises(SpendLimitError, match="refuses what has no price"):
            call(model="our-own")
        call(known=False)
        with pytest.raises(SpendLimitError, match=r"cannot be held: .* 1 of unknown cost"):
            call()


def test_an_answer_of_the_applications_own_cache_is_never_refused(events: MemoryWriter) -> None:
    with spend_limit(usd=0, calls=0) as limit:
        record_cache_hit(provider="openai", model="gpt-4o", input_tokens=9, output_tokens=9)
    assert (limit.calls, calls_of(events)[0].cache_savings_usd) == (0, Decimal("0.0001125"))


def test_inferences_inside_a_call_count(events: MemoryWriter) -> None:
    advisor = {"type": "advisor_message", "model": "claude-opus-4-1-20250805", "input_tokens": 7, "output_tokens": 3}
    usage = {"input_tokens": 10, "output_tokens": 40, "iterations": [advisor]}
    with spend_limit(usd=1) as limit, llm_call(provider="anthropic", model="claude-sonnet-4-5") as made:
        made.record({"type": "message", "model": "claude-sonnet-4-5", "usage": usage})
    assert limit.spent_usd == Decimal("0.00063") + Decimal("0.00033")


def test_a_call_under_llm_call_is_asked_once(events: MemoryWriter) -> None:
    provider = Provider()
    with spend_limit(calls=1), llm_call(provider="openai", model="gpt-4o"):
        provider.ask()
    assert (provider.sent, len(calls_of(events))) == (1, 1)


def test_after_a_refused_block_taps_see_again(events: MemoryWriter) -> None:
    with spend_limit(usd=0), pytest.raises(SpendLimitError):
        call()
    Provider().ask()
    assert [row.cost_usd for row in calls_of(events)] == [None, COST]


def test_the_request_tells_what_is_spent_and_what_is_left(events: MemoryWriter) -> None:
    seen: list[Any] = []

    def look() -> None:
        request = current_request()
        assert request is not None
        seen.append((request.spent_usd, request.spend_left_usd))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        look()
        with spend_limit(usd=1), spend_limit(usd="0.01"), spend_limit(calls=9):
            call()
            look()
        look()
        await send({"type": "http.response.start", "status": 204})

    async def nothing(*_: Any) -> Any:
        return None

    scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    asyncio.run(instrument(app, writer=events, mode="lean")(scope, nothing, nothing))
    assert seen == [(ZERO, None), (COST, Decimal("0.00775")), (COST, None)]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"usd": 0.5}, {"usd": "much"}, {"usd": True}, {"usd": -1}, {"usd": "NaN"}, {"usd": Decimal("Infinity")},
     {"calls": -1}, {"calls": 1.5}, {"calls": True}, {"usd": 1, "on_unpriced": "warn"}],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="is not allowed"):
        spend_limit(**arguments)


def test_a_float_is_told_what_to_be() -> None:
    with pytest.raises(SettingError, match=r"usd=0\.5 is not allowed: expected a Decimal, int or str such as '0\.50'"):
        spend_limit(usd=cast("Any", 0.5))


def test_a_limit_that_sees_no_calls_says_so(caplog: pytest.LogCaptureFixture) -> None:
    active._default.clear()
    losses.take()
    with spend_limit(usd=1):
        pass
    assert losses.take() == {"spend_limit_without_instrument": 1}
    assert "nothing is instrumented" in caplog.text


def test_the_hosts_decimal_context_rounds_nothing(events: MemoryWriter) -> None:
    with localcontext() as context, spend_limit(usd=1) as limit:
        context.prec = 2
        call(3)
        call()
        assert limit.spent_usd == Decimal("0.009")
        assert str(limit.left_usd) == "0.991000000000"


def test_a_call_that_ends_while_another_is_admitted_waits_for_nobody(events: MemoryWriter) -> None:
    with spend_limit(usd=1) as limit:
        block, context = llm_call(provider="openai", model="gpt-4o"), copy_context()
        context.run(block.__enter__)
        block.record_usage(input_tokens=1000, output_tokens=50, cache_read_tokens=600)
        with spend._admission:  # as where the garbage collector ends a stream in the middle of an admission
            ended = threading.Thread(target=context.run, args=(block.__exit__, None, None, None))
            ended.start()
            ended.join(5)
            assert not ended.is_alive()
        assert (limit.spent_usd, limit.left_usd) == (COST, 1 - COST)


def test_a_call_whose_event_cannot_be_built_is_not_held_for_ever(
    events: MemoryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with spend_limit(usd=1) as limit:
        with monkeypatch.context() as broken:
            broken.setattr("tollmeter.instrumentation.calls.Call.event", lambda *_: 1 // 0)
            call(max_tokens=1000)
        assert (limit.unpriced_calls, limit.left_usd) == (1, Decimal(1))


def test_counting_a_loss_may_end_a_call_in_the_same_thread() -> None:
    class Collected(dict[str, int]):
        """As where the garbage collector runs inside of `add`, and what it ends counts a loss of its own."""

        def get(self, *arguments: Any) -> Any:
            losses.counts = {}
            losses.add("inner")
            return super().get(*arguments)

    losses.take()
    losses.counts = Collected()
    adding = threading.Thread(target=losses.add, args=("outer",), daemon=True)
    adding.start()
    adding.join(5)
    assert not adding.is_alive()
    assert losses.take() == {"inner": 1, "outer": 1}
