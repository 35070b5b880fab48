"""Two lines in a service: `from tollmeter.instrumentation import instrument` and `instrument(app)`."""

from __future__ import annotations

from tollmeter.instrumentation.context import annotate, current_request, step
from tollmeter.instrumentation.fallback import fallback_from
from tollmeter.instrumentation.install import instrument
from tollmeter.instrumentation.manual import evaluate, llm_call, record_cache_hit
from tollmeter.instrumentation.spend import spend_limit
from tollmeter.instrumentation.tap.register import register_provider
from tollmeter.model.errors import SpendLimitError

__all__ = [
    "SpendLimitError",
    "annotate",
    "current_request",
    "evaluate",
    "fallback_from",
    "instrument",
    "llm_call",
    "record_cache_hit",
    "register_provider",
    "spend_limit",
    "step",
]
