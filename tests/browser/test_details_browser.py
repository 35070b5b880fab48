"""Calls, sessions, experiments and data health as a reader finds them: numbers read off the page are the lake's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hand_lake import append, call, land, request, roll_up
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tollmeter.model.events import Evaluation, LlmCall, Run, Step
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>=1+1,'\"" + "m" * 400
NOW = datetime.now(UTC).replace(microsecond=0)
TRACE = "4efaaf4d1e8720b39541901950019ee5"


def _load(name: str) -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _load("test_dashboard_browser")
until = pages.until


def _call(index: int) -> LlmCall:
    """One of 260 calls, ten minutes apart; sessions of four calls, an experiment whose second arm is dearer."""
    arm = "ab"[index // 4 % 2]
    output = Decimal("0.0002") * (2 if arm == "b" else 1)
    return call(
        NOW - timedelta(minutes=10 * index + 1),
        provider="openai",
        response_model=f"model-{index % 3}",
        region="eu-west-1",
        tenant_id="acme",
        team="ml",
        user_id=f"user-{index // 4}",
        session_id=f"session-{index // 4}",
        request_id=f"request-{index}",
        trace_id=TRACE,
        experiment="answers",
        variant=arm,
        route="/chat",
        status="ok",
        input_tokens=1000 + index,
        output_tokens=20,
        latency_ms=900.0 + index,
        ttft_ms=300.0,
        usage_source="reported",
        input_cost_usd=Decimal("0.001"),
        output_cost_usd=output,
        cost_usd=Decimal("0.001") + output,
        cost_status="priced",
        price_ref="genai-prices 1.0 openai/model 2026-01-01",
        finish_reason="stop",
    )


CALLS = [_call(index) for index in range(260)]
ODD = call(
    NOW - timedelta(hours=3),
    response_model=HOSTILE,
    tenant_id=HOSTILE,
    session_id="circle",
    status="error",
    error_type="RateLimitError",
    http_status=429,
    latency_ms=5.0,
    tags={"note": HOSTILE},
    request_id="request-odd",
)
CIRCLE = [
    call(
        NOW - timedelta(hours=2, seconds=-index),
        response_model="model-0",
        session_id="circle",
        tenant_id="acme",
        input_tokens=700,
        output_tokens=5,
        cost_usd=Decimal("0.000000000007"),
        cost_status="priced",
        latency_ms=10.0,
    )
    for index in range(4)
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Home(tmp_path_factory.mktemp("served"))
    steps = [Step(name="retrieve", start_ms=1.0, duration_ms=20.0)]
    land(home, [*CALLS, ODD, *CIRCLE])
    land(
        home,
        [
            request(
                CALLS[0].timestamp,
                request_id="request-0",
                session_id="session-0",
                tenant_id="acme",
                duration_ms=950.0,
                status_code=200,
                steps=steps,
            )
        ],
    )
    land(
        home,
        [
            Evaluation(
                event_id=new_event_id(),
                timestamp=NOW,
                service="chat",
                call_id=CALLS[0].event_id,
                name="relevance",
                score=0.75,
            )
        ],
    )
    land(
        home,
        [
            Run(
                event_id=new_event_id(),
                timestamp=NOW,
                service="tollmeter",
                component="etl",
                outcome="ok",
                duration_ms=1200.0,
                counts={"lines": 300, "landed": 266, "quarantined": 1},
            )
        ],
    )
    line = {
        "object_key": "dt=2026/x.jsonl",
        "line_number": 7,
        "sha256": "",
        "reason": "not_json",
        "detail": "expected {",
        "raw_text": HOSTILE + "\x07",
        "batch_id": "b",
        "event_date": NOW.date(),
        "ingested_at": NOW.replace(tzinfo=None),
    }
    append(home, "quarantine", [line])
    roll_up(home)
    with pages.serving(home) as served:
        yield served


def shown(browser: Any, selector: str) -> Any:
    """The first element of a selector, once it is there and seen."""
    return until(
        browser, lambda page: [one for one in page.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]
    )[0]


def address(browser: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(browser.current_url).query)


def summary(browser: Any, calls: int) -> Decimal:
    """What the line above the table says the calls cost, once it counts so many."""
    found = until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, f"#calls-summary[data-calls='{calls}']"))[0]
    return Decimal(found.get_attribute("data-cost") or 0)


def test_calls_are_searched_sorted_and_paged_and_the_numbers_are_the_lakes(browser: Any, url: str) -> None:
    browser.get(f"{url}calls")
    everything = [*CALLS, ODD, *CIRCLE]
    assert summary(browser, len(everything)) == sum(one.cost_usd or 0 for one in everything)
    first = shown(browser, "#calls-grid .ag-row[row-index='0'] [col-id='time']").text
    assert first.startswith(f"{CALLS[0].timestamp:%Y-%m-%d %H:%M}")
    shown(browser, "#calls-grid .ag-header-cell[col-id='cost'] .ag-header-cell-label").click()
    until(browser, lambda _: address(browser).get("sort") == ["-cost"])
    until(
        browser,
        lambda page: "$0.001400" in page.find_element(By.CSS_SELECTOR, "#calls-grid .ag-row[row-index='0']").text,
    )
    browser.find_element(By.CSS_SELECTOR, ".tm-pager a:last-child").click()
    until(browser, lambda _: address(browser).get("page") == ["2"])
    until(browser, lambda page: "rows 101 to 200" in page.find_element(By.ID, "calls-table-caption").text)
    browser.find_element(By.ID, "calls-q").send_keys("ratelimit", Keys.ENTER)
    assert summary(browser, 1) == 0
    assert "page" not in address(browser)
    assert address(browser)["q"] == ["ratelimit"]
    cell = shown(browser, "#calls-grid .ag-row[row-index='0'] [col-id='tenant']")
    assert cell.get_attribute("textContent") == HOSTILE
    assert not browser.find_elements(By.CSS_SELECTOR, "#calls-grid img[src='x']")
    assert browser.complaints() == []
    assert {urlsplit(asked).hostname for asked in browser.requested()} == {"127.0.0.1"}


def test_the_drawer_of_a_call_is_its_address(browser: Any, url: str) -> None:
    browser.get(f"{url}calls?model=model-0")
    shown(browser, "#calls-grid .ag-row[row-index='0'] a").click()
    until(browser, lambda _: address(browser).get("call") == [CALLS[0].event_id])
    again = browser.current_url
    browser.get(f"{url}sessions")
    browser.get(again)
    detail = shown(browser, "#calls-detail")
    assert detail.find_element(By.ID, "calls-cost").get_attribute("data-value") == "0.0012"
    left, right = shown(browser, "#calls-sum-text").text.replace("$", "").split(" = ")
    assert sum(map(Decimal, left.split(" + "))) == Decimal(right) == CALLS[0].cost_usd
    assert "$1.00 per million" in detail.text
    assert "valid from 2026-01-01" in detail.text
    assert "retrieve" in detail.text
    assert "0.75" in detail.text
    trace = detail.find_element(By.PARTIAL_LINK_TEXT, "X-Ray").get_attribute("href")
    assert trace.startswith("https://eu-west-1.console.aws.amazon.com/")
    assert trace.endswith(f"#xray:traces/1-{TRACE[:8]}-{TRACE[8:]}")
    detail.find_element(By.TAG_NAME, "summary").click()
    row = json.loads(shown(browser, "#calls-detail .tm-folded .tm-pre").text)
    assert (row["event_id"], row["cost_usd"]) == (CALLS[0].event_id, "0.001200000000")
    browser.find_element(By.CSS_SELECTOR, "[aria-label='Close the call']").click()
    until(browser, lambda _: "call" not in address(browser))
    assert address(browser)["model"] == ["model-0"]
    assert browser.complaints() == []


def test_a_session_is_told_with_its_running_cost_and_its_loop(browser: Any, url: str) -> None:
    browser.get(f"{url}sessions?open=session-0&of=acme&at={NOW:%Y-%m-%d}")
    story = shown(browser, "#sessions-detail .tm-story").text
    assert story.count("step retrieve · 20 ms") == 1
    browser.get(f"{url}sessions?q=circle")
    until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, "#sessions-summary[data-sessions='2']"))
    shown(browser, "#sessions-grid .ag-row[row-index='0'] a").click()
    until(browser, lambda _: address(browser).get("open") == ["circle"])
    total = shown(browser, "#sessions-total").get_attribute("data-value")
    assert Decimal(total) == Decimal("0.000000000028")
    running = browser.find_elements(By.CSS_SELECTOR, "#sessions-detail .tm-running")
    assert [Decimal(cell.get_attribute("data-value")) for cell in running] == [
        Decimal(count * 7).scaleb(-12) for count in (1, 2, 3, 4)
    ]
    assert "4 times" in shown(browser, "#sessions-detail .tm-loops").text
    browser.refresh()
    shown(browser, "#sessions-detail .tm-story a").click()
    until(browser, lambda _: urlsplit(browser.current_url).path.endswith("/calls"))
    assert shown(browser, "#calls-detail .tm-detail-title").text == "model-0"
    assert browser.complaints() == []


def test_variants_stand_side_by_side_with_a_verdict(browser: Any, url: str) -> None:
    browser.get(f"{url}experiments")
    verdict = shown(browser, "#experiments-verdicts").text
    assert "b is 17 % dearer" in verdict
    values = browser.find_elements(By.CSS_SELECTOR, "#experiments-cost_usd .tm-cell-value")
    assert [float(one.get_attribute("data-value")) for one in values] == pytest.approx([0.0012, 0.0014])
    browser.get(f"{url}experiments?by=experiment&name={quote(HOSTILE)}")
    until(browser, lambda page: "No call of experiment" in page.find_element(By.ID, "experiments-compare").text)
    assert browser.complaints() == []


def test_the_health_of_the_data_has_lights_and_lines_as_they_were_read(browser: Any, url: str) -> None:
    browser.get(f"{url}health")
    lit = shown(browser, "#light-quarantine")
    assert (lit.get_attribute("data-light"), lit.get_attribute("data-value")) == ("amber", "1 line")
    assert browser.find_element(By.ID, "light-unpriced").get_attribute("data-light") == "green"
    line = shown(browser, "#health-quarantine .tm-pre").text
    assert line == HOSTILE + "\\x07"
    assert "1.20 s" in shown(browser, "#health-runs-grid .ag-row").text
    assert browser.complaints() == []
    assert {urlsplit(asked).hostname for asked in browser.requested()} == {"127.0.0.1"}
