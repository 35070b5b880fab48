"""Cost, latency and errors: numbers read off the pages are those that SQL finds in the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tollmeter.etl.lake import open_tables
from tollmeter.etl.rollups import derive
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.catalog import NAMESPACE, open_catalog

pytestmark = pytest.mark.browser

PATIENCE_SECONDS = 120
CALLS = 600
HOSTILE = '<img src=x onerror="window.stung = 1">,\'"&=+%'
LONG = "m" * 10_000
MODEL = "coalesce(nullif(response_model, ''), request_model)"


def _load(name: str) -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _load("lakes")


def call(moment: datetime, index: int) -> dict[str, Any]:
    """A call with what these pages tell of, by its index alone."""
    row: dict[str, Any] = lakes.call(moment, index)
    failed = row["status"] == "error"
    model = HOSTILE if index % 40 == 0 else LONG if index % 41 == 0 else row["request_model"]
    answered = {} if failed else {"response_model": model}
    return row | answered | {
        "request_model": model,
        "team": ("search", "chat", "")[index % 3],
        "user_id": f"user-{index % 17}" if index % 5 else "",
        "session_id": f"session-{index // 4}",
        "http_status": 429 if failed else 200,
        "attempt": 2 if index % 9 == 0 else 1,
        "fallback_from": "gpt-4o" if index % 50 == 1 else "",
        "cache_savings_usd": Decimal("0.0005") if index % 2 else None,
        "fees_usd": Decimal("0.02") if index % 30 == 7 else None,
        "server_tool_calls": '{"web_search":2}' if index % 30 == 7 else "{}",
        "reasoning_tokens": row["output_tokens"] // 3,
        "ratelimit_limit_tokens": 1000,
        "ratelimit_remaining_tokens": 0 if failed else 400 + index % 500,
    }  # fmt: skip


def request(moment: datetime, index: int) -> dict[str, Any]:
    row: dict[str, Any] = lakes.request(moment, index)
    return row | {"status_code": 503 if index % 200 == 3 else 200, "client_disconnected": index % 70 == 0,
                  "tags": '{"event":"done"}' if index % 4 == 0 else "{}"}  # fmt: skip


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """The real command in a process of its own; yields the URL it printed."""
    start = "import os; os.environ['TOLLMETER_BUSINESS_EVENT_TAG'] = 'event'; "
    start += "from tollmeter.cli.main import main; main()"
    command = [sys.executable, "-c", start, "dashboard", "--port", "0", "--json", "--home", str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A lake of twenty days, and its dashboard."""
    home = Home(tmp_path_factory.mktemp("served"))
    now = datetime.now(UTC).replace(tzinfo=None)
    moments = [now - timedelta(seconds=90) - timedelta(days=20) / CALLS * index for index in range(CALLS)]
    lakes.write(home, "llm_calls", [call(moment, index) for index, moment in enumerate(moments)])
    lakes.write(home, "requests", [request(moment, index) for index, moment in enumerate(moments)])
    derive(home, open_tables(home, "zstd"), Settings.load({}))
    with serving(home) as url:
        yield home, url.rstrip("/")


def in_lake(home: Home, sql: str) -> Any:
    """One value of the lake, asked of the stored files without any of the dashboard's code."""
    catalog = open_catalog(home)
    with duckdb.connect() as connection:
        for name in ("llm_calls", "requests"):
            connection.register(name, catalog.load_table((NAMESPACE, name)).scan().to_arrow())
        row = connection.execute(sql).fetchone()
    assert row
    return row[0]


def until(browser: Any, what: Callable[[Any], Any]) -> Any:
    return WebDriverWait(browser, PATIENCE_SECONDS, ignored_exceptions=[StaleElementReferenceException]).until(what)


def value(browser: Any, tile: str) -> str:
    """The exact number of a tile, once there."""
    found = until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, f"#tile-{tile}[data-value]"))
    return str(found[0].get_attribute("data-value"))


def cell(browser: Any, grid: str, row: int, column: str) -> str:
    """The text of a cell of a table, once there; also of one that is out of sight."""
    path = f"#{grid} .ag-row[row-index='{row}'] [col-id='{column}']"
    script = "const cell = document.querySelector(arguments[0]); return cell && cell.textContent"
    return str(until(browser, lambda page: page.execute_script(script, path)))


def drawn(browser: Any, graph: str) -> list[dict[str, Any]]:
    """The traces of a graph, once there."""
    script = """
        const plot = document.querySelector(arguments[0] + ' .js-plotly-plot');
        const traces = plot && plot.data || [];
        return traces.map(trace => ({y: trace.y, name: trace.name, mode: trace.mode}));
    """
    found: list[dict[str, Any]] = until(browser, lambda page: page.execute_script(script, f"#{graph}"))
    return found


def settled(browser: Any) -> None:
    """Wait until every card of the page has been read."""
    waiting = "return document.querySelectorAll('.tm-skeleton, .tm-busy').length === 0"
    until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, ".tm-frame") and page.execute_script(waiting))


def test_what_the_cost_page_says_is_what_the_rows_say(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}/cost")
    spend = in_lake(home, "select sum(cost_usd) from llm_calls")
    assert Decimal(value(browser, "cost-spend")) == spend
    assert Decimal(value(browser, "cost-per-request")) == (spend / CALLS).quantize(Decimal("1e-12"))
    per_user = in_lake(home, "select sum(cost_usd) filter (user_id <> '') from llm_calls")
    assert Decimal(value(browser, "cost-per-user")) == (per_user / 17).quantize(Decimal("1e-12"))
    assert Decimal(value(browser, "cost-per-session")) == (spend / (CALLS // 4)).quantize(Decimal("1e-12"))
    assert Decimal(value(browser, "cost-savings")) == in_lake(home, "select sum(cache_savings_usd) from llm_calls")
    assert int(value(browser, "cost-unpriced")) == in_lake(
        home, "select count(*) from llm_calls where cost_usd is null"
    )
    settled(browser)
    bars = drawn(browser, "cost-spend-chart")
    assert sum(sum(bar["y"]) for bar in bars) == pytest.approx(float(spend))
    tokens = drawn(browser, "cost-kinds-chart")
    assert sum(sum(bar["y"]) for bar in tokens) == in_lake(
        home, "select sum(input_tokens + output_tokens) from llm_calls"
    )
    dearest = f"select {MODEL} from llm_calls group by 1 order by sum(cost_usd) desc nulls last limit 1"
    assert cell(browser, "cost-groups-grid", 0, "name") == in_lake(home, dearest)
    nobodys = in_lake(home, "select count(*) from llm_calls where team is null or team = ''")
    assert cell(browser, "cost-unallocated-grid", 1, "calls") == str(nobodys)
    events = in_lake(home, "select count(*) from requests where tags like '%done%'")
    assert (cell(browser, "cost-events-grid", 0, "name"), cell(browser, "cost-events-grid", 0, "requests")) == (
        "done", str(events),
    )  # fmt: skip
    assert {urlsplit(asked).hostname for asked in browser.requested()} == {"127.0.0.1"}
    assert browser.complaints() == []


def test_hostile_names_are_text_and_drill_down_like_any_other(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}/cost?group=request_model")
    settled(browser)
    assert "window.stung" in browser.page_source, "the name is on the page, as text"
    assert browser.execute_script("return window.stung") is None
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src='x']")
    link = "//*[@id='cost-caches-grid']//a[starts-with(normalize-space(), '<img src=x')]"
    target = until(browser, lambda page: page.find_elements(By.XPATH, link))[0]
    browser.execute_script("arguments[0].click()", target)
    expected = Decimal(
        in_lake(
            home, f"select sum(cost_usd) from llm_calls where request_model = '{HOSTILE.replace(chr(39), chr(39) * 2)}'"
        )
    )
    until(browser, lambda page: Decimal(value(page, "cost-spend") or 0) == expected)
    assert parse_qs(urlsplit(browser.current_url).query)["request_model"] == [HOSTILE]
    assert browser.execute_script("return window.stung") is None
    browser.get(f"{url}/errors?request_model={LONG}")
    rate = "select avg(case when status = 'error' then 1.0 else 0 end) from llm_calls"
    failed = in_lake(home, f"{rate} where length(request_model) = {len(LONG)}")
    assert float(value(browser, "errors-rate")) == pytest.approx(failed, abs=1e-6)
    assert browser.complaints() == []


def test_a_click_on_a_bar_filters_by_its_team(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}/cost?group=team")
    settled(browser)
    bars = "#cost-spend-chart .bars:first-child .point path"
    widest = until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, bars))[3]
    ActionChains(browser).move_to_element(widest).click().perform()
    until(browser, lambda page: "team=" in urlsplit(page.current_url).query.replace("group=team", ""))
    (team,) = parse_qs(urlsplit(browser.current_url).query, keep_blank_values=True)["team"]
    expected = in_lake(home, f"select sum(cost_usd) from llm_calls where coalesce(team, '') = '{team}'")
    until(browser, lambda page: Decimal(value(page, "cost-spend") or 0) == expected)


def test_percentiles_and_every_value_are_those_of_the_rows(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}/latency")
    for share in ("p50", "p95", "p99"):
        exact = in_lake(home, f"select quantile_disc(latency_ms, 0.{share[1:]}) from llm_calls")
        assert float(value(browser, f"latency-{share}-latency")) == pytest.approx(exact, rel=0.01)
    ttft = in_lake(home, "select quantile_disc(ttft_ms, 0.95) from llm_calls")
    assert float(value(browser, "latency-p95-ttft")) == pytest.approx(ttft, rel=0.01)
    settled(browser)
    (spread,) = drawn(browser, "latency-distribution-chart")
    assert sum(spread["y"]) == CALLS
    lines = drawn(browser, "latency-percentiles-chart")
    assert None in lines[0]["y"], "days before the first call are a gap, not 0"
    until(browser, lambda page: page.find_elements(By.LINK_TEXT, "First token"))[0].click()
    streamed = in_lake(home, "select count(ttft_ms) from llm_calls")
    until(browser, lambda page: sum(drawn(page, "latency-distribution-chart")[0]["y"]) == streamed)
    assert urlsplit(browser.current_url).query == "metric=ttft"
    settled(browser)
    assert browser.complaints() == []


def test_failures_and_the_error_budget_are_those_of_the_rows(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}/errors")
    failed = in_lake(home, "select count(*) from llm_calls where status = 'error'")
    assert float(value(browser, "errors-rate")) == pytest.approx(failed / CALLS, abs=1e-6)
    assert float(value(browser, "errors-throttled")) == pytest.approx(failed / CALLS, abs=1e-6)
    retries = in_lake(home, "select count(*) from llm_calls where attempt > 1")
    assert float(value(browser, "errors-retried")) == pytest.approx(retries / CALLS, abs=1e-6)
    broken = in_lake(home, "select count(*) from requests where status_code >= 500")
    assert float(value(browser, "errors-5xx")) == pytest.approx(broken / CALLS, abs=1e-6)
    assert float(value(browser, "errors-budget")) == pytest.approx(1 - broken / (CALLS * 0.005), abs=1e-6)
    settled(browser)
    types = drawn(browser, "errors-types-chart")
    assert {bar["name"]: sum(bar["y"]) for bar in types} == {"rate_limit": failed}
    (headroom, *_) = [line for line in drawn(browser, "errors-headroom-chart") if line["mode"] == "markers"]
    assert max(share for share in headroom["y"] if share is not None) == 1
    pairs = in_lake(home, "select count(*) from llm_calls where fallback_from = 'gpt-4o'")
    rows = len(browser.find_elements(By.CSS_SELECTOR, "#errors-fallbacks-grid .ag-center-cols-container .ag-row"))
    assert sum(int(cell(browser, "errors-fallbacks-grid", row, "calls")) for row in range(rows)) == pairs
    assert browser.complaints() == []
