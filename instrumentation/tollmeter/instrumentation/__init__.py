"""Two lines in a service: `from tollmeter.instrumentation import instrument` and `instrument(app)`."""

from __future__ import annotations

from tollmeter.instrumentation.carrier import trace_attributes, trace_headers
from tollmeter.instrumentation.context import annotate, current_request, step
from tollmeter.instrumentation.fallback import fallback_from
from tollmeter.instrumentation.install import instrument, instrument_lambda
from tollmeter.instrumentation.job import job
from tollmeter.instrumentation.manual import evaluate, llm_call, record_cache_hit
from tollmeter.instrumentation.queues import consume, consume_batch
from tollmeter.instrumentation.spend import spend_limit
from tollmeter.instrumentation.tap.register import register_provider
from tollmeter.model.errors import SpendLimitError

__all__ = [
    "SpendLimitError",
    "annotate",
    "consume",
    "consume_batch",
    "current_request",
    "evaluate",
    "fallback_from",
    "instrument",
    "instrument_lambda",
    "job",
    "llm_call",
    "record_cache_hit",
    "register_provider",
    "spend_limit",
    "step",
    "trace_attributes",
    "trace_headers",
]
