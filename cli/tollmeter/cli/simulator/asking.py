"""What one interaction asks of models: sizes, caches, searches, by feature, prompt and experiment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Final

from tollmeter.cli.simulator import almanac, shapes
from tollmeter.cli.simulator.experiments import NO_VARIANT, Variant
from tollmeter.cli.simulator.world import EMBEDDING, MODELS, Feature, Model, Tenant
from tollmeter.model.names import OPERATION_CHAT, OPERATION_EMBEDDINGS, PROVIDER_ANTHROPIC
from tollmeter.pricing import Usage

_CACHED: Final = 0.5
_CACHEABLE_FROM: Final = 1024
_CACHE_BLOCK: Final = 128
_KEPT_FOR_AN_HOUR: Final = 0.3
_MAX_INPUT: Final = 180_000
_RUNAWAY: Final = 90_000
_SAID_PER_TURN: Final = 450
"""Tokens by which a conversation grows with each turn."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What is to be simulated: who asks what, when, as which turn of a session.

    `runaway` is a prompt that grows out of hand.
    """

    key: str
    at: datetime
    tenant: Tenant
    feature: Feature
    user: str = ""
    session: str = ""
    turn: int = 0
    trouble: almanac.Trouble = almanac.QUIET
    runaway: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """One model call to be made; its usage is what the model will count."""

    model: Model
    operation: str
    stream: bool
    usage: Usage
    tier: str = ""

    def of(self, model: Model) -> Ask:
        """The same for another model, whose caches and tools know nothing of it."""
        usage = Usage(input_tokens=self.usage.input_tokens, output_tokens=self.usage.output_tokens)
        return replace(self, model=model, usage=usage)


def asks(what: Interaction, rng: Random, variant: Variant = NO_VARIANT) -> Iterator[Ask]:
    """The calls of an interaction, in order."""
    feature = what.feature
    drawn = rng.choices(*shapes.weights_of(feature.models))[0]
    model = MODELS[almanac.SPIKE_MODEL if what.runaway else variant.model or drawn]
    if feature.embeds:
        yield Ask(MODELS[EMBEDDING], OPERATION_EMBEDDINGS, stream=False, usage=Usage(input_tokens=rng.randint(8, 60)))
    size, seen = _first_size(what, rng, variant)
    for _ in range(rng.randint(*feature.calls)):
        size = min(size, _MAX_INPUT)
        answer = max(1, int(feature.output.draw(rng) * variant.output))
        usage = _usage(what, rng, model, (size, answer, seen))
        yield Ask(model, OPERATION_CHAT, rng.random() < feature.streamed, usage, feature.tier)
        seen, size = size, size + answer + int(shapes.CODE_IN.draw(rng))


def _first_size(what: Interaction, rng: Random, variant: Variant) -> tuple[int, int | None]:
    """Input tokens of the first call, and how many of them the model was told in the turn before."""
    feature = what.feature
    version = almanac.prompt_version_on(what.at.date(), feature.name)
    size = int(feature.input.draw(rng) * variant.input * almanac.prompt_scale(feature.name, version)) + 1
    if what.runaway:
        return size + _RUNAWAY, None
    if not (feature.session.remembers and what.turn):
        return size, None
    told = what.turn * _SAID_PER_TURN
    return size + told, size // 2 + told


def _usage(what: Interaction, rng: Random, model: Model, sizes: tuple[int, int, int | None]) -> Usage:
    feature, (size, answer, seen) = what.feature, sizes
    read, written = (0, 0) if what.runaway else _cache(rng, model, size, seen)
    searches = rng.randint(0, feature.searches)
    return Usage(
        input_tokens=size,
        output_tokens=answer,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=written if feature.tools and rng.random() < _KEPT_FOR_AN_HOUR else 0,
        reasoning_tokens=int(answer * model.reasoning * rng.uniform(0.4, 1.6)),
        input_audio_tokens=int(size * feature.audio),
        input_image_tokens=int(size * feature.images),
        server_tool_calls={"web_search": searches} if searches else {},
    )


def _cache(rng: Random, model: Model, size: int, seen: int | None) -> tuple[int, int]:
    """Tokens read from and written to the provider's cache.

    What the model was told before is read, else what the traces' reuse suggests. Anthropic bills what it writes to its
    cache; the others cache for nothing.
    """
    if size < _CACHEABLE_FROM or (seen is None and rng.random() >= _CACHED):
        return 0, 0
    reused = seen if seen is not None else int(size * shapes.CACHED_SHARE.draw(rng))
    read = min(reused, size - 1) // _CACHE_BLOCK * _CACHE_BLOCK
    return read, size - read if model.provider == PROVIDER_ANTHROPIC else 0
