"""One simulated interaction: a served request, its model calls with retries and fallbacks, now and then a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from tollmeter.cli.sample.wire import SIMULATED_TAG
from tollmeter.cli.simulator import shapes, world
from tollmeter.cli.simulator.world import EMBEDDING, MODELS, Feature, Model, Tenant
from tollmeter.model import names
from tollmeter.model.events import Evaluation, Event, LlmCall, Request, Step
from tollmeter.model.ids import imported_event_id
from tollmeter.pricing import Usage, price

TAGS: Final = {SIMULATED_TAG: "all"}

_ATTEMPTS: Final = 3
_ERRORS: Final = ((429, "rate_limit_exceeded", 0.5), (503, "server_error", 0.4), (500, "server_error", 0.1))
_FAILURE_RATE: Final = 0.004
_INCIDENT_FAILURE_RATE: Final = 0.85
_INCIDENT_SLOWDOWN: Final = 3.0
_ABANDONED: Final = 0.007
_SCORED: Final = 0.04
_STAGING: Final = 0.04
_CACHED: Final = 0.5
_CACHEABLE_FROM: Final = 1024
_CACHE_BLOCK: Final = 128
_MAX_INPUT: Final = 180_000
_RUNAWAY: Final = 90_000
_REQUESTS_PER_MINUTE: Final = 10_000
_TOKENS_PER_MINUTE: Final = 2_000_000
_NEVER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Interaction:
    """What is to be simulated: who asks what, when; `runaway` is a prompt that grows out of hand."""

    key: str
    at: datetime
    tenant: Tenant
    feature: Feature
    incident: datetime | None = None
    runaway: bool = False

    def is_down(self, provider: str, at: datetime) -> bool:
        """Whether the provider is in its incident."""
        since = at - self.incident if self.incident else _NEVER
        return provider == world.INCIDENT_PROVIDER and timedelta(0) <= since < world.INCIDENT_LENGTH


@dataclass(slots=True)
class _Script:
    """The interaction as it unfolds; `clock_ms` is how far it has come."""

    what: Interaction
    rng: Random
    common: dict[str, Any]
    clock_ms: float = 4.0
    calls: list[LlmCall] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    failed: bool = False
    abandoned: bool = False
    ids: int = 0

    def new_id(self) -> str:
        self.ids += 1
        return imported_event_id("simulator", f"{self.what.key}:{self.ids}")

    def now(self) -> datetime:
        return self.what.at + timedelta(milliseconds=self.clock_ms)

    def span(self) -> str:
        return f"{self.rng.getrandbits(64) | 1:016x}"


@dataclass(frozen=True, slots=True)
class _Ask:
    """One model call to be made; tokens as the model will count them."""

    model: Model
    operation: str
    stream: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


def events_of(what: Interaction, rng: Random) -> list[Event]:
    """The events of one interaction: calls in order, then scores, then the request."""
    script = _Script(what, rng, _common(what, rng))
    for ask in _asks(what, rng):
        _perform(script, ask)
        if script.failed or script.abandoned:
            break
    script.clock_ms += rng.uniform(1, 6)
    return [*script.calls, *_scores(script), _request(script)]


def _common(what: Interaction, rng: Random) -> dict[str, Any]:
    feature, tenant, day = what.feature, what.tenant, what.at.date()
    user = f"{tenant.name}-user-{min(int(rng.expovariate(3 / tenant.users)), tenant.users - 1):03d}"
    staging = rng.random() < _STAGING
    shared = {
        "service": feature.service,
        "environment": "staging" if staging else "production",
        "version": f"{day.isocalendar().year}.{day.isocalendar().week}",
        "region": tenant.region,
        "instance": f"{feature.service}-{rng.randrange(3)}",
        "request_id": f"{rng.getrandbits(128):032x}",
        "trace_id": f"{rng.getrandbits(128) | 1:032x}",
        "user_id": user,
        "tenant_id": tenant.name,
        "team": feature.team,
        "feature": feature.name,
        "session_id": f"{user}-{day:%m%d}-{what.at.hour // 4}",
        "prompt_name": feature.name,
        "prompt_version": f"v{day.toordinal() // 21 % 9 + 1}",
        "route": feature.route,
        "tags": TAGS,
    }
    if feature.embeds:
        shared |= {"experiment": "rerank", "variant": "treatment" if hash_of(user) % 2 else "control"}
    return shared


def hash_of(text: str) -> int:
    """A hash that is the same in every process, for splits by user."""
    return sum(text.encode()) * 2_654_435_761 >> 4


def _asks(what: Interaction, rng: Random) -> Iterator[_Ask]:
    feature = what.feature
    model = MODELS[world.SPIKE_MODEL if what.runaway else rng.choices(*shapes.weights_of(feature.models))[0]]
    if feature.embeds:
        yield _Ask(MODELS[EMBEDDING], names.OPERATION_EMBEDDINGS, stream=False, input_tokens=rng.randint(8, 60),
                   output_tokens=0)  # fmt: skip
    size, seen = int(feature.input.draw(rng)), 0
    if what.runaway:
        size += _RUNAWAY
    for turn in range(rng.randint(*feature.calls)):
        size = min(size, _MAX_INPUT)
        answer = max(1, int(feature.output.draw(rng)))
        cached = 0 if what.runaway else _cached(rng, size, seen if turn else None)
        yield _Ask(model, names.OPERATION_CHAT, rng.random() < feature.streamed, size, answer, cached)
        seen, size = size, size + answer + int(shapes.CODE_IN.draw(rng))


def _cached(rng: Random, size: int, seen: int | None) -> int:
    """Tokens read from the provider's cache: all of an agent's earlier turn, else what the traces' reuse suggests."""
    if size < _CACHEABLE_FROM:
        return 0
    reused = seen if seen is not None else int(size * shapes.CACHED_SHARE.draw(rng)) if rng.random() < _CACHED else 0
    return min(reused, size - 1) // _CACHE_BLOCK * _CACHE_BLOCK


def _perform(script: _Script, ask: _Ask) -> None:
    """Try a call up to three times, then once on the fallback."""
    for attempt in range(1, _ATTEMPTS + 1):
        if not _fails(script, ask.model):
            _succeed(script, ask, attempt, "")
            return
        _fail(script, ask, attempt)
    fallback = script.what.feature.fallback
    if not fallback or ask.operation != names.OPERATION_CHAT or MODELS[fallback].provider == ask.model.provider:
        script.failed = True
        return
    other = _Ask(MODELS[fallback], ask.operation, ask.stream, ask.input_tokens, ask.output_tokens)
    _succeed(script, other, 1, ask.model.name)


def _fails(script: _Script, model: Model) -> bool:
    down = script.what.is_down(model.provider, script.now())
    return script.rng.random() < (_INCIDENT_FAILURE_RATE if down else _FAILURE_RATE)


def _fail(script: _Script, ask: _Ask, attempt: int) -> None:
    rng = script.rng
    status, code, _ = rng.choices(_ERRORS, [error[2] for error in _ERRORS])[0]
    latency = rng.uniform(60, 180) if status == 429 else rng.uniform(900, 9000)  # noqa: PLR2004
    call = _call(script, ask, attempt, latency, status=names.STATUS_ERROR, http_status=status, error_type=code,
                 ratelimit_remaining_requests=0)  # fmt: skip
    script.calls.append(call)
    script.clock_ms += latency + rng.uniform(300, 900) * attempt


def _succeed(script: _Script, ask: _Ask, attempt: int, fallback_from: str) -> None:
    rng, model = script.rng, ask.model
    ttft = model.speed.ttft_ms(rng, ask.input_tokens)
    if script.what.is_down(model.provider, script.now()):
        ttft *= _INCIDENT_SLOWDOWN
    script.abandoned = ask.stream and rng.random() < _ABANDONED
    share = rng.uniform(0.05, 0.8) if script.abandoned else 1.0
    output = max(1, int(ask.output_tokens * share)) if ask.output_tokens else 0
    writing = model.speed.generation_ms(rng, output)
    facts = _usage_facts(script, ask, output) | {
        "http_status": 200,
        "fallback_from": fallback_from,
        "response_model": model.snapshot,
        "status": names.STATUS_PARTIAL if script.abandoned else names.STATUS_OK,
        "ratelimit_remaining_requests": rng.randint(_REQUESTS_PER_MINUTE * 3 // 5, _REQUESTS_PER_MINUTE),
    }
    if ask.operation == names.OPERATION_CHAT and not script.abandoned:
        facts["finish_reason"] = "stop"
    if ask.stream:
        facts |= {"ttfb_ms": round(ttft * 0.9, 3), "ttft_ms": round(ttft, 3)}
        facts["output_tokens_per_s"] = round(output / writing * 1000, 3)
    script.calls.append(_call(script, ask, attempt, ttft + writing, **facts))
    if ask.operation == names.OPERATION_EMBEDDINGS:
        script.steps.append(Step(name="retrieve", start_ms=script.clock_ms, duration_ms=round(ttft, 3)))
    script.clock_ms += ttft + writing


def _usage_facts(script: _Script, ask: _Ask, output: int) -> dict[str, Any]:
    model = ask.model
    # Anthropic bills what it writes to its cache; the others cache for nothing.
    written = (ask.input_tokens - ask.cached_tokens) if model.provider == names.PROVIDER_ANTHROPIC else 0
    usage = Usage(
        input_tokens=ask.input_tokens,
        output_tokens=output,
        cache_read_tokens=ask.cached_tokens,
        cache_write_tokens=written if ask.cached_tokens else 0,
        reasoning_tokens=int(output * model.reasoning),
        source=names.USAGE_ESTIMATED if script.abandoned else names.USAGE_REPORTED,
    )
    cost = price(model.provider, model.snapshot, usage, at=script.now())
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": usage.source,
        "cost_usd": cost.cost_usd,
        "input_cost_usd": cost.input_cost_usd,
        "output_cost_usd": cost.output_cost_usd,
        "cache_read_cost_usd": cost.cache_read_cost_usd,
        "cache_write_cost_usd": cost.cache_write_cost_usd,
        "fees_usd": cost.fees_usd,
        "cost_status": cost.status,
        "price_ref": cost.price_ref,
        "cache_savings_usd": cost.cache_savings_usd,
    }


def _call(script: _Script, ask: _Ask, attempt: int, latency: float, **facts: Any) -> LlmCall:
    return LlmCall(
        event_id=script.new_id(),
        timestamp=script.now(),
        span_id=script.span(),
        provider=ask.model.provider,
        operation=ask.operation,
        request_model=ask.model.name,
        stream=ask.stream,
        attempt=attempt,
        latency_ms=round(latency, 3),
        ratelimit_limit_requests=_REQUESTS_PER_MINUTE,
        ratelimit_limit_tokens=_TOKENS_PER_MINUTE,
        **facts,
        **script.common,
    )


def _scores(script: _Script) -> list[Event]:
    scored = [call for call in script.calls if call.status == names.STATUS_OK and call.output_tokens]
    if not scored or script.rng.random() >= _SCORED:
        return []
    score = min(1.0, max(0.0, round(script.rng.gauss(0.82, 0.12), 2)))
    relevance = Evaluation(
        event_id=script.new_id(), timestamp=script.now(), call_id=scored[-1].event_id, name="relevance", score=score,
        evaluator="llm-judge", **script.common,
    )  # fmt: skip
    return [relevance]


def _request(script: _Script) -> Request:
    costs = [call.cost_usd for call in script.calls if call.cost_usd is not None]
    written = sum(call.output_tokens or 0 for call in script.calls)
    first = next((call.ttft_ms for call in script.calls if call.ttft_ms is not None), None)
    return Request(
        event_id=script.new_id(),
        timestamp=script.what.at,
        span_id=script.span(),
        method="POST",
        status_code=502 if script.failed else 200,
        error_type="UpstreamError" if script.failed else "",
        duration_ms=round(script.clock_ms, 3),
        ttfb_ms=round(min(script.clock_ms, (first or script.clock_ms) + 4), 3),
        response_bytes=64 if script.failed else 180 + written * 5,
        client_disconnected=script.abandoned,
        steps=script.steps,
        llm_calls=len(script.calls),
        input_tokens=sum(call.input_tokens or 0 for call in script.calls),
        output_tokens=written,
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        **script.common,
    )
