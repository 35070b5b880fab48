"""Two lines in a service: `from tollmeter.instrumentation import instrument` and `instrument(app)`."""

from __future__ import annotations

from tollmeter.instrumentation.context import annotate, current_request, step
from tollmeter.instrumentation.install import instrument
from tollmeter.instrumentation.manual import evaluate, llm_call

__all__ = ["annotate", "current_request", "evaluate", "instrument", "llm_call", "step"]
