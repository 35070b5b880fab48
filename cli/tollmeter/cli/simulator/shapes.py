"""How large prompts and answers are, and how fast models answer: figures taken from published measurements.

Token sizes are quantiles of the Azure LLM inference traces of 2023 (conversation 19,366 rows, code 8,819; CC-BY-4.0)
and of the Mooncake conversation trace (12,031 rows; Apache-2.0). Latencies are log-normal fits to the successful calls
of the LLMPerf leaderboard's raw results for 70B models (5 x 150 calls; Apache-2.0).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

_LEVELS: Final = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """A distribution given by its values at fixed levels, drawn from by interpolating logarithms."""

    values: tuple[float, ...]

    def draw(self, rng: Random) -> float:
        """One value."""
        return self.at(rng.random())

    def at(self, level: float) -> float:
        """The value at a level between 0 and 1.

        >>> round(CONVERSATION_IN.at(0.5))
        1020
        """
        right = min(bisect_right(_LEVELS, level), len(_LEVELS) - 1)
        low, high = _LEVELS[right - 1], _LEVELS[right]
        share = (level - low) / (high - low)
        return math.exp((1 - share) * math.log(self.values[right - 1]) + share * math.log(self.values[right]))


CONVERSATION_IN: Final = Quantiles((2, 29, 181, 207, 396, 1020, 1189, 2735, 4083, 4142, 6212, 14050))
CONVERSATION_OUT: Final = Quantiles((7, 16, 41, 54, 85, 129, 395, 424, 451, 601, 954, 1000))
CODE_IN: Final = Quantiles((3, 17, 75, 147, 578, 1469, 2745, 5194, 7315, 7436, 7437, 7437))
CODE_OUT: Final = Quantiles((6, 6, 6, 7, 9, 13, 24, 55, 90, 252, 831, 1899))
LONG_IN: Final = Quantiles((891, 894, 901, 964, 2306, 6909, 15368, 27367, 39552, 85401, 121301, 126195))
LONG_OUT: Final = Quantiles((1, 3, 10, 24, 156, 350, 472, 597, 698, 1120, 2000, 2000))
CACHED_SHARE: Final = Quantiles((0.001, 0.007, 0.018, 0.028, 0.069, 0.363, 0.712, 0.948, 0.976, 0.999, 1.0, 1.0))
"""Share of a prompt that an unlimited prefix cache holds, by the Mooncake trace's block ids."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Time to the first token and between tokens: mean and deviation of the logarithm of seconds."""

    ttft_mu: float
    ttft_sigma: float
    token_mu: float
    token_sigma: float

    def ttft_ms(self, rng: Random, input_tokens: int) -> float:
        """Time to the first token in ms; long prompts take longer (25 tokens read per ms)."""
        return rng.lognormvariate(self.ttft_mu, self.ttft_sigma) * 1000 + input_tokens / 25

    def generation_ms(self, rng: Random, output_tokens: int) -> float:
        """Time to write the answer after its first token, in ms."""
        return rng.lognormvariate(self.token_mu, self.token_sigma) * 1000 * output_tokens


FAST: Final = Speed(-1.497, 0.190, -5.228, 0.087)  # groq
SWIFT: Final = Speed(-1.425, 0.256, -4.172, 0.215)  # anyscale
STEADY: Final = Speed(-0.485, 0.143, -4.159, 0.130)  # together
SLOW: Final = Speed(-0.910, 0.163, -3.057, 0.042)  # bedrock


def weights_of(items: Sequence[tuple[str, float]]) -> tuple[list[str], list[float]]:
    """Names and weights, as `Random.choices` takes them."""
    return [name for name, _ in items], [weight for _, weight in items]
