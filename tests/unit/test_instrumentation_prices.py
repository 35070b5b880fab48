"""Calls are priced by the overlay that the settings name, and a broken one stops nothing and hides nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollmeter.instrumentation import active, instrument, llm_call
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, decode

OVERLAY = """
currency: USD
prices:
  - {name: own, provider: openai, model: gpt-4o, valid_from: 2026-01-01, prices: {input_mtok: 2}}
commitments:
  - {name: ptu, provider: azure.ai.openai, resource_id: chat, usd_per_hour: 1, valid_from: 2026-01-01}
premiums:
  - {name: us, provider: anthropic, region: us, percent: 10, valid_from: 2026-01-01}
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    active._default.clear()
    losses.take()
    yield
    active._default.clear()
    losses.take()


def recorded(overlay: object, provider: str, model: str, **facts: Any) -> LlmCall:
    writer = MemoryWriter()
    instrument(writer=writer, mode="lean", service="svc", price_overlay=str(overlay))
    with llm_call(provider=provider, model=model) as call:
        call.record_usage(input_tokens=1_000_000, output_tokens=0)
        call.record_facts(**facts)
    (event,) = (decode(line) for line in writer.lines)
    assert isinstance(event, LlmCall)
    return event


def test_calls_are_priced_by_the_overlay(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(OVERLAY)
    own = recorded(path, "openai", "gpt-4o", response_model="gpt-4o-2024-08-06")
    assert (own.cost_status, own.cost_usd) == ("priced", Decimal(2))
    assert own.price_ref.startswith("acme.yaml#own 2026-01-01 over genai-prices ")


def test_deployment_and_region_of_a_call_count(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(OVERLAY)
    committed = recorded(path, "azure.ai.openai", "chat", response_model="gpt-4o")
    assert (committed.cost_usd, committed.price_ref) == (Decimal(0), "acme.yaml#ptu 2026-01-01 commitment")
    active._default.clear()
    here = recorded(path, "anthropic", "claude-haiku-4-5", inference_region="us")
    assert here.cost_usd == Decimal("1.1")


@pytest.mark.parametrize("text", ["currency: EUR", None], ids=["broken", "not there"])
def test_a_broken_overlay_is_logged_and_its_costs_are_estimates(
    tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "acme.yaml"
    if text is not None:
        path.write_text(text)
    with caplog.at_level(logging.ERROR, "tollmeter"):
        event = recorded(path, "openai", "gpt-4o")
    (record,) = caplog.records
    assert "acme.yaml" in record.getMessage()
    assert text is None or "line 1: currency: 'EUR' is not allowed: expected one of USD" in record.getMessage()
    assert (event.cost_status, event.cost_usd) == ("estimated", Decimal("2.5"))
    assert event.price_ref == "genai-prices 0.2.3 openai/gpt-4o; acme.yaml unread"
    assert event.losses == {"price_overlay_unread": 1}


def test_without_pyyaml_costs_are_estimates_and_the_extra_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "acme.yaml"
    path.write_text(OVERLAY)
    with caplog.at_level(logging.ERROR, "tollmeter"):
        event = recorded(path, "openai", "gpt-4o")
    assert "pip install 'tollmeter[overlay]'" in caplog.text
    assert event.cost_status == "estimated"


def test_a_service_loads_yaml_only_for_an_overlay_of_yaml(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    path.write_text('{"currency": "USD"}')
    code = f"""
import sys
from tollmeter.instrumentation import instrument
from tollmeter.instrumentation.writer import MemoryWriter
instrument(writer=MemoryWriter(), mode="lean", service="s", price_overlay={str(path)!r})
sys.exit("yaml" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
