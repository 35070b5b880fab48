"""Experiments that run in the simulated history, and what their variants do to cost and quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.cli.simulator.almanac import chance_of


@dataclass(frozen=True, slots=True)
class Variant:
    """One arm: factors on input and output tokens, a model that takes all calls, and what it adds to scores."""

    name: str
    input: float = 1.0
    output: float = 1.0
    model: str = ""
    quality: float = 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms that the users of one feature are split among, evenly."""

    name: str
    feature: str
    variants: tuple[Variant, ...]


NO_VARIANT: Final = Variant("")

EXPERIMENTS: Final = (
    # Shorter answers cost less and are as good.
    Experiment("concise-answers", "chat", (Variant("A"), Variant("B", output=0.6))),
    # More context costs more and answers better.
    Experiment("rerank", "ask", (Variant("control"), Variant("treatment", input=1.3, quality=0.05))),
    # A smaller model costs less and answers worse.
    Experiment("small-planner", "agent", (Variant("A"), Variant("B", model="gpt-5-mini", quality=-0.06))),
)


def assigned(feature: str, user: str) -> tuple[str, Variant]:
    """The experiment a user of a feature takes part in, and the arm; empty where there is none."""
    for experiment in EXPERIMENTS:
        if experiment.feature == feature and user:
            return experiment.name, experiment.variants[
                chance_of(f"{experiment.name}:{user}") % len(experiment.variants)
            ]
    return "", NO_VARIANT
