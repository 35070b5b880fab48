"""Records of other systems, in the shapes their documentation tells, with values made up."""

from __future__ import annotations

import json
from typing import Any

HASHED_KEY = "ab" * 32


def litellm(**fields: Any) -> dict[str, Any]:
    """A row of LiteLLM_SpendLogs as an API or JSON export has it: a streamed, cached call to Anthropic."""
    metadata = {
        "user_api_key_alias": "prod-key",
        "user_api_key_team_alias": "growth",
        "status": "success",
        "additional_usage_values": {
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 100,
            "completion_tokens_details": {"reasoning_tokens": 30, "text_tokens": 20},
        },
    }
    return {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": HASHED_KEY,
        "spend": 0.00123,
        "total_tokens": 1050,
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "startTime": "2026-11-01T10:00:00.000Z",
        "endTime": "2026-11-01T10:00:02.500Z",
        "completionStartTime": "2026-11-01T10:00:00.500Z",
        "model": "claude-sonnet-4-5",
        "model_id": "deployment-7",
        "model_group": "smart",
        "custom_llm_provider": "anthropic",
        "user": "u-internal",
        "metadata": metadata,
        "cache_hit": "False",
        "request_tags": ["chat", "beta"],
        "team_id": "team-1",
        "organization_id": "org-1",
        "end_user": "customer-9",
        "requester_ip_address": "203.0.113.7",
        "messages": {"role": "user", "content": "secret question"},
        "response": {"content": "secret answer"},
        "session_id": "s-1",
        "status": "success",
    } | fields


def langfuse(**fields: Any) -> dict[str, Any]:
    """An enriched observation of the blob storage export, in JSONL: a streamed generation."""
    return {
        "id": "00f067aa0ba902b7",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "project_id": "p-1",
        "environment": "production",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": "2026-11-01 10:00:00.000000",
        "end_time": "2026-11-01 10:00:03.000000",
        "completion_start_time": "2026-11-01 10:00:01.000000",
        "name": "answer",
        "metadata": {"note": "secret"},
        "level": "DEFAULT",
        "version": "1.4",
        "input": "secret question",
        "output": "secret answer",
        "provided_model_name": "gpt-4o",
        "model_parameters": '{"temperature":0.7,"max_tokens":256}',
        "usage_details": {
            "input": 100,
            "output": 20,
            "input_cached_tokens": 900,
            "output_reasoning_tokens": 10,
            "total": 1030,
        },
        "cost_details": {"input": 0.001, "output": 0.002},
        "total_cost": 0.003,
        "prompt_name": "support",
        "prompt_version": 3,
        "user_id": "u-1",
        "session_id": "s-1",
        "trace_name": "chat-turn",
        "tags": ["beta"],
    } | fields


def bedrock(**fields: Any) -> dict[str, Any]:
    """A record of a Converse call with a cached prompt."""
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "secret answer"}]}},
        "stopReason": "end_turn",
        "metrics": {"latencyMs": 1234},
        "usage": {"inputTokens": 100, "outputTokens": 50, "cacheReadInputTokens": 600, "cacheWriteInputTokens": 300},
    }
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-01T10:00:00Z",
        "accountId": "123456789012",
        "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/chat/session-1"},
        "region": "us-east-1",
        "requestId": "a1b2c3d4-5678-90ab-cdef-1234567890ab",
        "operation": "Converse",
        "modelId": "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "inferenceRegion": "us-west-2",
        "requestMetadata": {"team": "growth", "tenant_id": "acme", "cost_centre": "CC-1"},
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": {"messages": ["secret question"], "inferenceConfig": {"maxTokens": 512}},
            "inputTokenCount": 100,
            "cacheReadInputTokenCount": 600,
            "cacheWriteInputTokenCount": 300,
        },
        "output": {"outputContentType": "application/json", "outputBodyJson": answer, "outputTokenCount": 50},
    } | fields


def usage_page() -> dict[str, Any]:
    """A page of OpenAI's completions usage, grouped by model and project."""
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 5000,
        "output_tokens": 700,
        "input_cached_tokens": 4000,
        "input_audio_tokens": 0,
        "num_model_requests": 12,
        "project_id": "proj_1",
        "user_id": None,
        "model": "gpt-4o-2024-08-06",
        "batch": False,
    }
    return _page([result, result | {"model": "gpt-4o-mini", "num_model_requests": 3}])


def costs_page() -> dict[str, Any]:
    """A page of OpenAI's costs, grouped by line item."""
    result = {
        "object": "organization.costs.result",
        "amount": {"value": 0.06, "currency": "usd"},
        "line_item": "gpt-4o, input_tokens",
        "project_id": "proj_1",
        "quantity": 1234.5,
    }
    return _page([result])


def _page(results: list[dict[str, Any]]) -> dict[str, Any]:
    bucket = {"object": "bucket", "start_time": 1793491200, "end_time": 1793577600, "results": results}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def lines(*records: dict[str, Any]) -> bytes:
    """Records as JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
