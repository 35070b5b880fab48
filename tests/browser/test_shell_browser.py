"""The shell around every page: accessible in light and dark and on a phone, steered by the address alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tollmeter.dashboards.pages import PAGES
from tollmeter.model.home import Home

pytestmark = pytest.mark.browser

ARTEFACTS: Final = Path(__file__).parents[2] / ".artefacts"
# In one question: between two, elements are replaced.
_SETTLED: Final = (
    "return document.querySelector('#page > *') !== null"
    " && ![...document.querySelectorAll('.mantine-Skeleton-root, .tm-busy')].some(one => one.offsetParent)"
)
WIDE, PHONE = (1440, 900), (390, 844)


def _load(name: str) -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chromium, lakes, dashboard = _load("conftest"), _load("lakes"), _load("test_dashboard_browser")
until, value = dashboard.until, dashboard.value


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lake of 600 calls over 40 days, and its pages."""
    home = Home(tmp_path_factory.mktemp("shell"))
    lakes.fill(home, datetime.now(UTC).replace(tzinfo=None), calls=600, hours=40 * 24)
    with dashboard.serving(home) as url:
        yield url


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    """One Chromium for all of them: plotly.js is parsed once."""
    if not (chromium.CHROMIUM.exists() and chromium.DRIVER.exists()):
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    driver = chromium.open_browser()
    yield driver
    driver.quit()


def shown(window: Any, url: str, size: tuple[int, int] = WIDE, scheme: str = "light") -> None:
    """Open an address and wait until every card is read."""
    look(window, size, scheme)
    window.complaints()
    window.get(url)
    settled(window)


def look(window: Any, size: tuple[int, int], scheme: str) -> None:
    """How large the screen is, and what the system prefers."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    preferred = [{"name": "prefers-color-scheme", "value": scheme}]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferred})


def scheme_of(window: Any) -> str | None:
    marked: str | None = window.find_element(By.TAG_NAME, "html").get_attribute("data-mantine-color-scheme")
    return marked


def settled(window: Any) -> None:
    until(window, lambda page: page.execute_script(_SETTLED))


def serious(window: Any) -> list[str]:
    """Serious and critical faults that axe-core finds, each with where it is."""
    found = find_spec("axe_playwright_python")
    assert found, "make setup installs axe-core"
    assert found.submodule_search_locations
    window.execute_script((Path(found.submodule_search_locations[0]) / "axe.min.js").read_text("utf-8"))
    script = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)"
    violations = window.execute_async_script(script)["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in violations
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def chosen_range(window: Any) -> str | None:
    checked: str | None = window.find_element(By.CSS_SELECTOR, "#range input:checked").get_attribute("value")
    return checked


def keep(window: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    window.save_screenshot(str(ARTEFACTS / f"{name}.png"))


FIRST = ("", "cost", "calls")
LOOKED_AT = [page if page.path in FIRST else pytest.param(page, marks=pytest.mark.full) for page in PAGES]


@pytest.mark.parametrize("page", LOOKED_AT, ids=lambda page: page.path or "overview")
def test_a_page_has_no_serious_fault_in_light_and_dark_and_fits_a_phone(window: Any, served: str, page: Any) -> None:
    name = page.path or "overview"
    shown(window, f"{served}{page.path}?range=90d&compare=1")
    assert window.find_element(By.ID, "title").text == page.title
    for scheme in ("light", "dark"):
        look(window, WIDE, scheme)
        until(window, lambda page, wanted=scheme: scheme_of(page) == wanted)
        keep(window, f"{name}-{scheme}")
        assert serious(window) == []
    look(window, PHONE, "light")
    until(window, lambda page: page.find_element(By.ID, "burger").is_displayed())
    keep(window, f"{name}-phone")
    assert window.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    assert window.complaints() == []
    assert {urlsplit(asked).hostname for asked in window.requested()} == {"127.0.0.1"}


def test_a_dark_system_gets_a_dark_page_before_anything_is_drawn(window: Any, served: str) -> None:
    look(window, WIDE, "dark")
    window.get("about:blank")
    marked = "document.documentElement.getAttribute('data-mantine-color-scheme')"
    source = f"new MutationObserver(() => {{ window.first = window.first || {marked} }})"
    noted = f"{source}.observe(document, {{childList: true, subtree: true}})"
    added = window.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": noted})
    window.get(served)
    assert until(window, lambda page: page.execute_script("return window.first")) == "dark"
    window.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_back_and_forward_bring_back_what_was_shown(window: Any, served: str) -> None:
    shown(window, served)
    month = value(window, "requests")
    window.find_element(By.XPATH, "//*[@id='range']//label[normalize-space()='7d']").click()
    until(window, lambda page: value(page, "requests") != month)
    week = value(window, "requests")
    window.back()
    until(window, lambda page: value(page, "requests") == month)
    assert urlsplit(window.current_url).query == ""
    until(
        window, lambda page: page.find_element(By.CSS_SELECTOR, "#range input:checked").get_attribute("value") == "30d"
    )
    window.forward()
    until(window, lambda page: value(page, "requests") == week)
    assert urlsplit(window.current_url).query == "range=7d"


def test_a_click_on_a_bar_filters_and_the_chip_takes_it_back(window: Any, served: str) -> None:
    shown(window, f"{served}?group=tenant")
    everything = value(window, "requests")
    until(window, lambda page: page.find_elements(By.CSS_SELECTOR, "#overview-cost-chart .bars .point path"))[0]
    script = "arguments[0].emit('plotly_click', {points: [{curveNumber: 0, pointNumber: 1, x: 1, y: 1, data: {}}]})"
    plot = window.find_element(By.CSS_SELECTOR, "#overview-cost-chart .js-plotly-plot")
    window.execute_script(script, plot)
    chip = until(window, lambda page: page.find_elements(By.CSS_SELECTOR, ".tm-chip"))[0]
    assert chip.text.startswith("Tenant: ")
    until(window, lambda page: value(page, "requests") != everything)
    assert urlsplit(window.current_url).query == f"group=tenant&tenant={chip.text.removeprefix('Tenant: ')}"
    chip.find_element(By.CSS_SELECTOR, ".tm-chip-drop").click()
    until(window, lambda page: value(page, "requests") == everything)
    assert urlsplit(window.current_url).query == "group=tenant"


def test_a_view_is_saved_opened_made_default_and_deleted(window: Any, served: str) -> None:
    shown(window, f"{served}?range=7d&group=route")
    window.find_element(By.ID, "views-open").click()
    until(window, lambda page: page.find_element(By.ID, "view-name").is_displayed())
    window.find_element(By.ID, "view-name").send_keys("Routes <b>of</b> a week")
    window.find_element(By.ID, "view-save").click()
    view = until(window, lambda page: page.find_elements(By.CSS_SELECTOR, "#views-list .tm-view"))[0]
    assert view.text == "Routes <b>of</b> a week"
    until(window, lambda page: page.find_elements(By.XPATH, "//button[normalize-space()='Make default']"))[0].click()
    until(window, lambda page: page.find_elements(By.XPATH, "//button[normalize-space()='Default']"))
    window.get(served)
    until(window, lambda page: urlsplit(page.current_url).query == "range=7d&group=route")
    settled(window)
    window.find_element(By.ID, "views-open").click()
    until(window, lambda page: page.find_element(By.ID, "view-name").is_displayed())
    until(window, lambda page: page.find_elements(By.XPATH, "//button[normalize-space()='Delete']"))[0].click()
    until(window, lambda page: "No saved views yet" in page.find_element(By.ID, "views-list").text)


def test_the_export_link_holds_the_calls_of_the_page(window: Any, served: str) -> None:
    shown(window, f"{served}?range=7d&route=%2Fchat")
    calls = window.find_element(By.CSS_SELECTOR, "#tile-requests .tm-note").text
    link = window.find_element(By.CSS_SELECTOR, "#export a").get_attribute("href")
    with urlopen(link) as answer:
        rows = list(csv.DictReader(io.StringIO(answer.read().decode())))
    assert calls == f"{len(rows)} model calls"
    assert {row["route"] for row in rows} == {"/chat"}


def test_a_keyboard_reaches_the_content_first_and_a_phone_has_its_menus(window: Any, served: str) -> None:
    shown(window, served, PHONE)
    window.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert window.switch_to.active_element.text == "Skip to the content"
    assert not window.find_element(By.ID, "group").is_displayed()
    window.find_element(By.ID, "filters-toggle").click()
    until(window, lambda page: page.find_element(By.ID, "group").is_displayed())
    window.find_element(By.ID, "burger").click()
    last = PAGES[-1].title
    until(window, lambda page: [one for one in page.find_elements(By.LINK_TEXT, last) if one.is_displayed()])[0].click()
    until(window, lambda page: page.find_element(By.ID, "title").text == last)


def test_an_address_that_is_not_understood_is_told_and_the_rest_holds(window: Any, served: str) -> None:
    shown(window, f"{served}?colour=red&range=7d")
    assert "'colour' is no dimension" in window.find_element(By.ID, "notice-problems").text
    assert chosen_range(window) == "7d"


def test_the_one_filter_that_hides_everything_is_named(window: Any, served: str) -> None:
    shown(window, f"{served}?route=%2Fchat&tenant=nobody")
    links = window.find_elements(By.CSS_SELECTOR, "#notice-nothing a")
    assert [link.text for link in links] == ["Drop the filter Tenant"]
    links[0].click()
    until(window, lambda page: urlsplit(page.current_url).query == "route=/chat")
