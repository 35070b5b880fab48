"""One simulated interaction: a served request, its model calls with retries and fallbacks, now and then a score."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from msgspec import structs

from tollmeter.cli.sample.wire import SIMULATED_TAG
from tollmeter.cli.simulator import almanac, limits
from tollmeter.cli.simulator.asking import Ask, Interaction, asks
from tollmeter.cli.simulator.endings import request_of, scores_of
from tollmeter.cli.simulator.experiments import NO_VARIANT, Variant, assigned
from tollmeter.cli.simulator.world import MODELS
from tollmeter.model import names
from tollmeter.model.events import Event, LlmCall, Step
from tollmeter.model.ids import imported_event_id
from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.call import cost_columns, price_call

TAGS: Final = {SIMULATED_TAG: "all"}
EVENT_TAG: Final = "event"
"""Tag that names the business event a request ended in."""

_ATTEMPTS: Final = 3
_FAILURE_RATE: Final = 0.004
_INCIDENT_FAILURE_RATE: Final = 0.85
_SQUEEZE_FAILURE_RATE: Final = 0.35
_FALLBACK_FAILURE_RATE: Final = 0.12
_REFUSAL_RATE: Final = 0.0006
_INCIDENT_SLOWDOWN: Final = 3.0
_ABANDONED: Final = 0.007
_STAGING: Final = 0.04
_STATUS_UPSTREAM_FAILED: Final = 502
_NO_TOKENS: Final = Usage(input_tokens=0, output_tokens=0)


@dataclass(slots=True)
class Script:
    """The interaction as it unfolds; `clock_ms` is how far it has come, `refused` what it failed with."""

    what: Interaction
    rng: Random
    common: dict[str, Any]
    variant: Variant = NO_VARIANT
    clock_ms: float = 4.0
    calls: list[LlmCall] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    refused: int = 0
    abandoned: bool = False
    ids: int = 0

    def new_id(self) -> str:
        """The next id; the same at every run."""
        self.ids += 1
        return imported_event_id("simulator", f"{self.what.key}:{self.ids}")

    def now(self) -> datetime:
        """When the interaction has come this far."""
        return self.what.at + timedelta(milliseconds=self.clock_ms)

    def span(self) -> str:
        """A span id."""
        return f"{self.rng.getrandbits(64) | 1:016x}"

    def step(self, name: str, duration_ms: float) -> None:
        """A named span that begins now, and passes."""
        self.steps.append(Step(name=name, start_ms=round(self.clock_ms, 3), duration_ms=round(duration_ms, 3)))
        self.clock_ms += duration_ms


def events_of(what: Interaction, rng: Random) -> list[Event]:
    """The events of one interaction: calls in order, then scores, then the request."""
    common, variant = _common(what, rng)
    script = Script(what, rng, common, variant)
    for number, ask in enumerate(asks(what, rng, variant)):
        if number and what.feature.tools:
            script.step(rng.choice(what.feature.tools), rng.uniform(40, 1500))
        _perform(script, ask)
        if script.refused or script.abandoned:
            break
    script.clock_ms += rng.uniform(1, 6)
    return [*script.calls, *scores_of(script), request_of(script)]


def _common(what: Interaction, rng: Random) -> tuple[dict[str, Any], Variant]:
    feature, tenant, day = what.feature, what.tenant, what.at.date()
    experiment, variant = ("", NO_VARIANT) if what.runaway else assigned(feature.name, what.user)
    kinds = [name for name, _ in feature.outcomes]
    shares = [share for _, share in feature.outcomes]
    ended = rng.choices([*kinds, ""], [*shares, 1 - sum(shares)])[0]
    shared = {
        "service": feature.service,
        "environment": "staging" if rng.random() < _STAGING else "production",
        "version": almanac.version_at(feature.service, what.at),
        "region": tenant.region,
        "instance": f"{feature.service}-{rng.randrange(3)}",
        "request_id": f"{rng.getrandbits(128):032x}",
        "trace_id": f"{rng.getrandbits(128) | 1:032x}",
        "user_id": what.user,
        "tenant_id": tenant.name,
        "team": feature.team,
        "feature": feature.name if feature.attributed else "",
        "session_id": what.session,
        "prompt_name": feature.name,
        "prompt_version": almanac.prompt_version_on(day, feature.name),
        "experiment": experiment,
        "variant": variant.name,
        "route": feature.route,
        "tags": TAGS | {EVENT_TAG: ended} if ended else TAGS,
    }
    return shared, variant


def _perform(script: Script, ask: Ask) -> None:
    """Answer from the service's own cache, else try a call up to three times, then once on a fallback."""
    feature, rng = script.what.feature, script.rng
    if ask.operation == names.OPERATION_CHAT and rng.random() < feature.cached:
        _answer_from_cache(script, ask)
        return
    if rng.random() < _REFUSAL_RATE:
        _fail(script, ask, 1, (limits.REFUSED, limits.refusal(rng)))
        script.refused = limits.REFUSED
        return
    for attempt in range(1, _ATTEMPTS + 1):
        if not _fails(script, ask):
            _succeed(script, ask, attempt, "")
            return
        tight = script.what.trouble.is_squeezed(ask.model.provider, script.now())
        _fail(script, ask, attempt, limits.failure(rng, ask.model.provider, tight=tight))
    others = [MODELS[name] for name in feature.fallbacks if MODELS[name].provider != ask.model.provider]
    if others and ask.operation == names.OPERATION_CHAT:
        _fall_back(script, ask, ask.of(others[0]))
    else:
        script.refused = _STATUS_UPSTREAM_FAILED


def _fall_back(script: Script, ask: Ask, other: Ask) -> None:
    """Ask another provider, which has everybody's traffic while the first is down."""
    crowded = script.what.trouble.is_down(ask.model.provider, script.now())
    if crowded and script.rng.random() < _FALLBACK_FAILURE_RATE:
        _fail(script, other, 1, limits.failure(script.rng, other.model.provider, tight=True), ask.model.name)
        script.refused = _STATUS_UPSTREAM_FAILED
    else:
        _succeed(script, other, 1, ask.model.name)


def _fails(script: Script, ask: Ask) -> bool:
    trouble, provider, now = script.what.trouble, ask.model.provider, script.now()
    rate = _FAILURE_RATE
    if trouble.is_down(provider, now):
        rate = _INCIDENT_FAILURE_RATE
    elif trouble.is_squeezed(provider, now):
        rate = _SQUEEZE_FAILURE_RATE
    return script.rng.random() < rate


def _fail(script: Script, ask: Ask, attempt: int, why: tuple[int | None, str], fallback_from: str = "") -> None:
    rng, (status, kind) = script.rng, why
    exhausted = status == limits.TOO_MANY
    latency = rng.uniform(60, 180) if exhausted or status == limits.REFUSED else rng.uniform(900, 9000)
    facts = _headroom(script, ask, exhausted=exhausted) if status else {}
    facts |= {"status": names.STATUS_ERROR, "http_status": status, "error_type": kind, "fallback_from": fallback_from}
    script.calls.append(_call(script, ask, attempt, latency, **facts))
    script.clock_ms += latency + rng.uniform(300, 900) * attempt


def _headroom(script: Script, ask: Ask, *, exhausted: bool = False) -> dict[str, Any]:
    provider, now = ask.model.provider, script.now()
    tight = script.what.trouble.is_squeezed(provider, now)
    return limits.headroom(script.rng, provider, now, tight=tight, exhausted=exhausted)


def _answer_from_cache(script: Script, ask: Ask) -> None:
    latency = script.rng.uniform(4, 30)
    facts = _priced(script, ask, ask.usage, cache_hit=True) | {"response_model": ask.model.snapshot, "cache_hit": True}
    script.calls.append(_call(script, ask, 1, latency, **facts))
    script.clock_ms += latency


def _succeed(script: Script, ask: Ask, attempt: int, fallback_from: str) -> None:
    rng, model = script.rng, ask.model
    ttft = model.speed.ttft_ms(rng, ask.usage.input_tokens or 0)
    if script.what.trouble.is_down(model.provider, script.now()):
        ttft *= _INCIDENT_SLOWDOWN
    script.abandoned = ask.stream and rng.random() < _ABANDONED
    usage = _cut_off(ask.usage, rng) if script.abandoned else ask.usage
    writing = model.speed.generation_ms(rng, usage.output_tokens or 0)
    status = names.STATUS_PARTIAL if script.abandoned else names.STATUS_OK
    facts = _priced(script, ask, usage, status=status) | _headroom(script, ask)
    facts |= {"http_status": 200, "fallback_from": fallback_from, "response_model": model.snapshot, "status": status}
    if ask.operation == names.OPERATION_CHAT and not script.abandoned:
        facts["finish_reason"] = "stop"
    if ask.stream:
        facts |= {"ttfb_ms": round(ttft * 0.9, 3), "ttft_ms": round(ttft, 3)}
        facts["output_tokens_per_s"] = round((usage.output_tokens or 0) / writing * 1000, 3)
    script.calls.append(_call(script, ask, attempt, ttft + writing, **facts))
    if ask.operation == names.OPERATION_EMBEDDINGS:
        script.step("retrieve", ttft)
    else:
        script.clock_ms += ttft + writing


def _cut_off(usage: Usage, rng: Random) -> Usage:
    """What was used when the reader left before the end."""
    share = rng.uniform(0.05, 0.8)
    return structs.replace(
        usage,
        output_tokens=max(1, int((usage.output_tokens or 0) * share)),
        reasoning_tokens=int((usage.reasoning_tokens or 0) * share),
        source=names.USAGE_ESTIMATED,
    )


def _priced(
    script: Script, ask: Ask, usage: Usage, *, status: str = names.STATUS_OK, cache_hit: bool = False
) -> dict[str, Any]:
    """Usage and cost as columns, by the price book that prices real calls."""
    cost = price_call(
        default_book(), usage, provider=ask.model.provider, request_model=ask.model.name,
        response_model=ask.model.snapshot, at=script.now(), status=status, service_tier=ask.tier, cache_hit=cache_hit,
    )  # fmt: skip
    used = structs.asdict(_NO_TOKENS if cache_hit else usage)
    source = used.pop("source")
    return used | cost_columns(cost) | {"usage_source": source}


def _call(script: Script, ask: Ask, attempt: int, latency: float, **facts: Any) -> LlmCall:
    return LlmCall(
        event_id=script.new_id(),
        timestamp=script.now(),
        span_id=script.span(),
        provider=ask.model.provider,
        operation=ask.operation,
        request_model=ask.model.name,
        service_tier=ask.tier,
        stream=ask.stream,
        attempt=attempt,
        latency_ms=round(latency, 3),
        **facts,
        **script.common,
    )
