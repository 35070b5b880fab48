"""The page on changes: bars read off the screen add up to the cent, and a click leads into who contributed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hand_lake import call, land, roll_up
from selenium.webdriver.common.by import By

from tollmeter.model.events import LlmCall
from tollmeter.model.home import Home

pytestmark = pytest.mark.browser

ODD = "<b>search</b>, r&d"


def _load(name: str) -> Any:
    # Test folders are no packages, and importlib mode puts none of them on the path.
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _load("test_dashboard_browser")


def _calls(now: datetime) -> Iterator[LlmCall]:
    """Assistant pays 10 and then 20 calls of a dollar and a third of a cent; search is new."""
    for count, days_ago, team, model in ((10, 10, "assistant", "gpt"), (20, 3, "assistant", "gpt"), (7, 2, ODD, "o")):
        for number in range(count):
            cost = Decimal("1.003333") if team == "assistant" else Decimal("0.77")
            yield call(
                now - timedelta(days=days_ago, minutes=number), team=team, response_model=model, status="ok",
                output_tokens=50, output_cost_usd=cost, cost_usd=cost, cost_status="priced",
            )  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Home(tmp_path_factory.mktemp("served"))
    land(home, _calls(datetime.now(UTC)))
    roll_up(home)
    with pages.serving(home) as served:
        yield served


def bars(browser: Any) -> dict[str, str]:
    """The amounts over the bars, as they stand on the screen, by the labels below them."""
    drawn = "#change-waterfall-chart .bartext"
    texts = pages.until(browser, lambda page: [one.text for one in page.find_elements(By.CSS_SELECTOR, drawn)])
    labels = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#change-waterfall-chart .xtick text")]
    return dict(zip(labels, texts, strict=True))


def amount(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace("+", ""))


def test_bars_add_up_to_the_cent_and_lead_to_who_contributed(browser: Any, url: str) -> None:
    browser.get(f"{url}change?range=7d&group=team")
    said = pages.until(browser, lambda page: page.find_element(By.ID, "change-sentence").text)
    assert said == (
        "Spend rose $15.43 (+153.8 %), from $10.03 to $25.46: +$10.04 more calls, +$5.39 new teams."
    )  # fmt: skip
    shown = bars(browser)
    assert (shown["Before"], shown["After"]) == ("$10.03", "$25.46")
    assert shown["New"] == "+$5.39"
    assert sum(amount(text) for label, text in shown.items() if label not in ("Before", "After")) == amount(
        shown["After"]
    ) - amount(shown["Before"])
    pages.until(browser, lambda page: ODD in [one.text for one in page.find_elements(By.CSS_SELECTOR, "a.tm-link")])
    into = next(one for one in browser.find_elements(By.CSS_SELECTOR, "a.tm-link") if one.text == "assistant")
    into.click()
    pages.until(browser, lambda page: "team=assistant" in page.current_url)
    pages.until(browser, lambda page: "from $10.03 to $20.07" in page.find_element(By.ID, "change-sentence").text)
    assert browser.complaints() == []


def test_another_period_stands_in_the_address(browser: Any, url: str) -> None:
    day = (datetime.now(UTC) - timedelta(days=2)).date()
    browser.get(f"{url}change?range=7d&group=team&base_from={day}&base_to={day}&team=assistant")
    said = pages.until(browser, lambda page: page.find_element(By.ID, "change-sentence").text)
    assert said == "Spend rose $20.07, from $0.00 to $20.07: +$20.07 new teams."
    pages.until(browser, lambda page: str(day) in page.find_element(By.ID, "change-base").text)
    assert browser.complaints() == []
