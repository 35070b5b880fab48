"""`register_provider`: hosts of providers, said in code."""

from __future__ import annotations

from tollmeter.instrumentation.guard import logger, losses
from tollmeter.instrumentation.tap.endpoints import recognise
from tollmeter.instrumentation.tap.hosts import add_rule
from tollmeter.instrumentation.tap.results import recognise_results


def register_provider(host: str, provider: str) -> bool:
    """Say that a provider answers at a host; before or after `instrument()`, for every app of the process.

    The same can be said by the setting `providers`.

    Args:
        host: `host`, `host:port`, or `*.suffix` for every host below it; each may be followed by a path prefix, such as
            `gateway.example/v1/team/openai`. The most telling rule wins, whichever way it was said.
        provider: its OpenTelemetry name, such as `openai`, `anthropic`, `aws.bedrock` or `azure.ai.openai`: prices are
            looked up under it, and paths are read as that provider's.

    Returns:
        Whether it was understood. It never raises: what is not understood is logged, and counted.

    >>> register_provider("llm.internal:8000", "openai")
    True
    """
    if not add_rule(host, provider):
        logger.error("tollmeter: register_provider(%r, %r) is not understood, and passed over", host, provider)
        losses.add("register_provider_refused")
        return False
    recognise.cache_clear()
    recognise_results.cache_clear()
    return True
