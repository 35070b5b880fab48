"""Two lines in a service: `from tollmeter.instrumentation import instrument` and `instrument(app)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.model.lazy import names_from

if TYPE_CHECKING:
    from tollmeter.instrumentation.background import job
    from tollmeter.instrumentation.carrier import trace_attributes, trace_headers
    from tollmeter.instrumentation.context import annotate, current_request, step
    from tollmeter.instrumentation.fallback import fallback_from
    from tollmeter.instrumentation.install import instrument, instrument_lambda
    from tollmeter.instrumentation.manual import evaluate, llm_call, record_cache_hit
    from tollmeter.instrumentation.queues import consume, consume_batch
    from tollmeter.instrumentation.spend import spend_limit
    from tollmeter.instrumentation.tap.register import register_provider
    from tollmeter.model.errors import SpendLimitError
else:
    __getattr__ = names_from(
        __name__,
        {
            "SpendLimitError": "..model.errors",
            "annotate": ".context",
            "consume": ".queues",
            "consume_batch": ".queues",
            "current_request": ".context",
            "evaluate": ".manual",
            "fallback_from": ".fallback",
            "instrument": ".install",
            "instrument_lambda": ".install",
            "job": ".background",
            "llm_call": ".manual",
            "record_cache_hit": ".manual",
            "register_provider": ".tap.register",
            "spend_limit": ".spend",
            "step": ".context",
            "trace_attributes": ".carrier",
            "trace_headers": ".carrier",
        },
    )

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
