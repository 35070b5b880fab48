"""How an interaction ends: its scores and its request."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tollmeter.cli.simulator.world import JOBS
from tollmeter.model import names
from tollmeter.model.events import Evaluation, Event, LlmCall, Request

if TYPE_CHECKING:
    from tollmeter.cli.simulator.calls import Script

_JUDGED: Final = 0.1
_RELEVANCE: Final = (0.82, 0.12)
_RATED: Final = 0.03
_HELPFUL: Final = 0.78


def scores_of(script: Script) -> list[Event]:
    """A judge's score now and then, a user's verdict now and then, of the last answer."""
    answers = [call for call in script.calls if call.status == names.STATUS_OK and call.finish_reason]
    if not answers:
        return []
    rng, quality, scores = script.rng, script.variant.quality, []
    if rng.random() < _JUDGED:
        mean, deviation = _RELEVANCE
        score = min(1.0, max(0.0, round(rng.gauss(mean + quality, deviation), 2)))
        scores.append(_score(script, answers[-1], "relevance", score, "llm-judge"))
    if script.what.user and rng.random() < _RATED:
        helped = rng.random() < _HELPFUL + quality
        scores.append(_score(script, answers[-1], "helpful", float(helped), "user"))
    return scores


def _score(script: Script, call: LlmCall, name: str, score: float, evaluator: str) -> Event:
    return Evaluation(
        event_id=script.new_id(), timestamp=script.now(), call_id=call.event_id, name=name, score=score,
        evaluator=evaluator, **script.common,
    )  # fmt: skip


def request_of(script: Script) -> Request:
    """The request that made the calls."""
    costs = [call.cost_usd for call in script.calls if call.cost_usd is not None]
    written = sum(call.output_tokens or 0 for call in script.calls)
    first = next((call.ttft_ms for call in script.calls if call.ttft_ms is not None), None)
    return Request(
        event_id=script.new_id(),
        timestamp=script.what.at,
        span_id=script.span(),
        duration_ms=round(script.clock_ms, 3),
        client_disconnected=script.abandoned,
        steps=script.steps,
        llm_calls=len(script.calls),
        input_tokens=sum(call.input_tokens or 0 for call in script.calls),
        output_tokens=written,
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        **_outside(script, first, written),
        **script.common,
    )


def _outside(script: Script, first_token_ms: float | None, written: int) -> dict[str, Any]:
    """What whoever asked saw of it: a job of the night is asked by nobody."""
    failed = "UpstreamError" if script.refused else ""
    if script.what.feature.service == JOBS:
        return {"method": names.METHOD_JOB, "error_type": failed}
    begun = script.clock_ms if first_token_ms is None else first_token_ms + 4
    return {
        "method": "POST",
        "status_code": script.refused or 200,
        "error_type": failed,
        "ttfb_ms": round(min(script.clock_ms, begun), 3),
        "response_bytes": 64 if script.refused else 180 + written * 5,
    }
