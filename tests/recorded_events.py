"""Requests as a service of some size writes them: steps, calls, failures, money of many digits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tollmeter.model.events import Event, LlmCall, Request, Step
from tollmeter.model.ids import new_event_id, new_span_id, new_trace_id

_MODELS = (("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("aws.bedrock", "eu.amazon.nova-pro-v1:0"))


def served(requests: int, *, now: datetime, seed: int = 7, within_s: float = 5.0, **facts: Any) -> list[Event]:
    """The events of some requests of the last seconds: each with a step and up to three calls before it."""
    random = Random(seed)
    events: list[Event] = []
    for _ in range(requests):
        began = now - timedelta(seconds=random.uniform(0.0, within_s))
        who = {
            "service": "chat",
            "environment": "prod",
            "version": "1.2.3",
            "instance": "ab" * 8,
            "request_id": new_event_id(),
            "trace_id": new_trace_id(),
            "route": random.choice(["/chat", "/search"]),
            "tenant_id": random.choice(["acme", "globex"]),
            **facts,
        }
        root, step = new_span_id(), new_span_id()
        calls = [_call(random, began, step, who) for _ in range(random.randrange(4))]
        events += calls
        events.append(
            Request(
                event_id=new_event_id(),
                timestamp=began,
                span_id=root,
                method="POST",
                status_code=500 if random.random() < 0.1 else 200,
                duration_ms=random.uniform(1.0, 900.0),
                steps=[Step(name="answer", start_ms=0.5, duration_ms=0.25, span_id=step, parent_span_id=root)],
                llm_calls=len(calls),
                **who,
            )
        )
    return events


def _call(random: Random, began: datetime, parent: str, who: dict[str, Any]) -> LlmCall:
    provider, model = random.choice(_MODELS)
    failed = random.random() < 0.1
    return LlmCall(
        event_id=new_event_id(),
        timestamp=began + timedelta(microseconds=random.randrange(1000)),
        span_id=new_span_id(),
        parent_span_id=parent,
        provider=provider,
        operation="chat",
        request_model=model,
        status="error" if failed else "ok",
        http_status=429 if failed else 200,
        latency_ms=random.uniform(1.0, 800.0),
        input_tokens=None if failed else random.randrange(10_000),
        output_tokens=None if failed else random.randrange(1_000),
        cache_read_tokens=None if failed else random.randrange(100),
        cost_usd=Decimal(random.randrange(10**10)) / 10**12,
        cost_status="priced",
        usage_source="missing" if failed else "reported",
        **who,
    )
