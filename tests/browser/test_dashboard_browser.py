"""What an analyst reads off the page is what the lake holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import duckdb
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tollmeter.model.home import Home
from tollmeter.sql.catalog import NAMESPACE, open_catalog

pytestmark = pytest.mark.browser

PATIENCE_SECONDS = 120


def _load(name: str) -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lakes = _load("lakes")


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """The real command in a process of its own; yields the URL it printed."""
    start = "from tollmeter.cli.main import main; main()"
    command = [sys.executable, "-c", start, "dashboard", "--port", "0", "--json", "--home", str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A lake of 900 calls over 20 days, and its page."""
    home = Home(tmp_path_factory.mktemp("served"))
    now = datetime.now(UTC).replace(tzinfo=None)
    lakes.fill(home, now, calls=900, hours=20 * 24, simulated=True)
    with serving(home) as url:
        yield home, url


def in_lake(home: Home, sql: str) -> Any:
    """One value of the lake, asked of the stored files without any of the dashboard's code."""
    calls = open_catalog(home).load_table((NAMESPACE, "llm_calls")).scan().to_arrow()
    with duckdb.connect() as connection:
        connection.register("calls", calls)
        row = connection.execute(sql).fetchone()
    assert row
    return row[0]


def until(browser: Any, what: Callable[[Any], Any]) -> Any:
    return WebDriverWait(browser, PATIENCE_SECONDS, ignored_exceptions=[StaleElementReferenceException]).until(what)


def value(browser: Any, tile: str) -> str:
    """The exact number of a tile, once there; a tile that is drawn anew meanwhile is looked for again."""
    return str(until(browser, lambda page: _number(page, tile)))


def _number(browser: Any, tile: str) -> str | None:
    found = browser.find_elements(By.CSS_SELECTOR, f"#tile-{tile}[data-value]")
    return found[0].get_attribute("data-value") if found else None


def wait_for(browser: Any, tile: str, expected: str) -> None:
    until(browser, lambda page: value(page, tile) == expected)


def _text(browser: Any, name: str) -> str:
    return "".join(one.text for one in browser.find_elements(By.ID, name))


def refreshed(browser: Any) -> bool:
    """Ask anew; the lake is looked at every other second."""
    browser.find_element(By.ID, "refresh").click()
    return True


def pick(browser: Any, control: str, option: str) -> None:
    """Choose an option of a select."""
    until(browser, lambda page: page.find_element(By.ID, control)).click()
    shown = f"//*[@role='option'][normalize-space()='{option}']"
    until(browser, lambda page: [one for one in page.find_elements(By.XPATH, shown) if one.is_displayed()])[0].click()


def test_the_numbers_are_those_of_the_lake_and_nothing_leaves_the_machine(
    browser: Any, served: tuple[Home, str]
) -> None:
    home, url = served
    browser.get(url)
    assert Decimal(value(browser, "spend")) == in_lake(home, "select sum(cost_usd) from calls")
    assert value(browser, "requests") == "900"
    assert int(value(browser, "tokens")) == in_lake(home, "select sum(input_tokens + output_tokens) from calls")
    errors = in_lake(home, "select avg(case when status = 'error' then 1.0 else 0 end) from calls")
    assert float(value(browser, "errors")) == pytest.approx(errors, abs=1e-6)
    p95 = in_lake(home, "select quantile_disc(latency_ms, 0.95) from calls")
    assert float(value(browser, "latency")) == pytest.approx(p95, rel=0.01)
    ttft = in_lake(home, "select quantile_disc(ttft_ms, 0.95) from calls")
    assert float(value(browser, "ttft")) == pytest.approx(ttft, rel=0.01)
    unpriced = in_lake(home, "select count(*) from calls where cost_usd is null")
    assert browser.find_element(By.ID, "note-spend").text == f"unpriced calls: {unpriced}"
    until(browser, lambda page: len(page.find_elements(By.CSS_SELECTOR, "#overview-spend-chart .bars .point path")) > 0)
    until(
        browser,
        lambda page: len(page.find_elements(By.CSS_SELECTOR, "#overview-latency-chart .scatterlayer .js-line")) > 0,
    )
    until(browser, lambda page: page.find_elements(By.ID, "notice-simulated"))
    assert "model, route, latency_ms" in browser.find_element(By.ID, "notice-simulated").text
    assert "Share chart" not in browser.page_source
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-title*='Share'], .modebar-btn--logo")
    hosts = {urlsplit(asked).hostname for asked in browser.requested()}
    assert hosts == {"127.0.0.1"}
    assert browser.complaints() == []


def test_drawn_spend_adds_up_to_the_tile(browser: Any, served: tuple[Home, str]) -> None:
    _, url = served
    browser.get(url)
    total = float(value(browser, "spend"))
    plot = "document.querySelector('#overview-spend-chart .js-plotly-plot')"
    script = f"return ({plot} && {plot}.data || []).map(layer => layer.y)"
    drawn = until(browser, lambda page: page.execute_script(script))
    assert sum(sum(layer) for layer in drawn) == pytest.approx(total)


def test_a_model_filter_changes_the_numbers_and_stands_in_the_address(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(url)
    everything = value(browser, "spend")
    pick(browser, "filter-dimension", "Model")
    pick(browser, "filter-values", "gpt-4o-mini")
    expected = in_lake(home, "select sum(cost_usd) from calls where response_model = 'gpt-4o-mini'")
    until(browser, lambda page: value(page, "spend") != everything)
    assert Decimal(value(browser, "spend")) == expected
    assert urlsplit(browser.current_url).query == "model=gpt-4o-mini"
    calls = in_lake(
        home, "select count(*) from calls where coalesce(nullif(response_model, ''), request_model) = 'gpt-4o-mini'"
    )
    assert value(browser, "requests") == str(calls)


def test_the_address_alone_brings_back_the_view(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}?range=7d&model=gpt-4o&model=claude-sonnet-4-5")
    now = datetime.now(UTC).replace(tzinfo=None)
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) - timedelta(days=7)
    models = "coalesce(nullif(response_model, ''), request_model) in ('gpt-4o', 'claude-sonnet-4-5')"
    expected = in_lake(home, f"select sum(cost_usd) from calls where {models} and timestamp >= '{start}'")
    assert Decimal(value(browser, "spend")) == expected
    checked = browser.find_element(By.CSS_SELECTOR, "#range input:checked")
    assert checked.get_attribute("value") == "7d"
    chips = browser.find_elements(By.CSS_SELECTOR, ".tm-chip button")
    assert [chip.text for chip in chips] == ["Model: gpt-4o, claude-sonnet-4-5"]
    # Choosing the default range takes it out of the address, and the models stay.
    browser.find_element(By.XPATH, "//*[@id='range']//label[normalize-space()='30d']").click()
    until(browser, lambda page: urlsplit(page.current_url).query == "model=gpt-4o&model=claude-sonnet-4-5")
    wait_for(browser, "spend", f"{in_lake(home, f'select sum(cost_usd) from calls where {models}'):f}")


def test_a_range_without_calls_offers_the_one_that_has_them(browser: Any, served: tuple[Home, str]) -> None:
    home, url = served
    browser.get(f"{url}?from=2020-01-01&to=2020-01-31")
    link = until(browser, lambda page: page.find_elements(By.CSS_SELECTOR, "#notice-nothing a"))[0]
    assert re.fullmatch(r"Show [\d-]{10} to [\d-]{10}, where this lake has calls", link.text)
    link.click()
    wait_for(browser, "spend", f"{in_lake(home, 'select sum(cost_usd) from calls'):f}")


def test_an_empty_lake_says_what_to_run_and_shows_rows_once_they_land(browser: Any, tmp_path: Path) -> None:
    home = Home(tmp_path / "fresh")
    with serving(home) as url:
        browser.get(url)
        notice = until(browser, lambda page: page.find_elements(By.ID, "notice-empty"))[0]
        assert "tollmeter demo" in notice.text
        assert "tollmeter etl run" in notice.text
        lakes.fill(home, datetime.now(UTC).replace(tzinfo=None), calls=10, hours=1)
        until(browser, lambda page: refreshed(page) and page.find_elements(By.CSS_SELECTOR, "[data-value='10']"))
        assert browser.complaints() == []


def test_a_lake_that_cannot_be_read_gives_a_reference_and_keeps_what_was_shown(browser: Any, tmp_path: Path) -> None:
    home = Home(tmp_path / "torn")
    lakes.fill(home, datetime.now(UTC).replace(tzinfo=None), calls=10, hours=1)
    with serving(home) as url:
        browser.get(url)
        assert value(browser, "requests") == "10"
        lakes.fill(home, datetime.now(UTC).replace(tzinfo=None), calls=10, hours=1)
        for file in home.lake.rglob("*.parquet"):
            file.write_bytes(b"torn")
        told = until(browser, lambda page: refreshed(page) and _text(page, "overview-headline-error"))
        assert re.search(r"Reference [0-9a-f]{8}", told)
        assert value(browser, "requests") == "10"


def test_assets_are_compressed_and_kept_and_the_page_forbids_other_hosts(served: tuple[Home, str]) -> None:
    _, url = served
    with urlopen(url) as answer:
        page = answer.read().decode()
        assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    bundle = re.search(r'src="(/_dash-component-suites/dash/dash-renderer/build/[^"]+)"', page)
    assert bundle
    asked = Request(url.rstrip("/") + bundle[1], headers={"Accept-Encoding": "gzip"})
    with urlopen(asked) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
    with urlopen(f"{url}livez") as answer:
        assert answer.read() == b"ok\n"
