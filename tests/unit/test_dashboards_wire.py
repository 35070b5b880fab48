"""What a card shows of a reading that succeeds, fails, is cancelled, or is of a page that was left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dash import Dash
from dash.exceptions import PreventUpdate

from tollmeter.dashboards.access.viewer import LOCAL, Viewer, admit
from tollmeter.dashboards.wire import Address, Asked, Page, Shown, Wire
from tollmeter.model.errors import CancelledError, QueryError

HERE = Address("/p", "tab", "?range=7d")
PAGE = Page("p", "P", "cost", dict, print)


class Lake:
    """Knows what is asked under which token, and what was cancelled."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def cancellable(self, viewer: Viewer, token: str) -> Iterator[None]:
        self.told.append(f"{viewer.subject} asks {token}")
        yield

    def cancel(self, viewer: Viewer, token: str) -> bool:
        self.told.append(f"{viewer.subject} cancels {token}")
        return False


def answered(read: Any, at: Address = HERE, lake: Any = None) -> list[Any]:
    app = Dash(__name__)
    asked_of: Any = lake or Lake()
    with app.server.test_request_context():
        admit(LOCAL)
        return Wire(app, asked_of, PAGE, "UTC")._answer(("p-a", "p-b"), read, at, ())


def test_each_card_gets_its_own_part_and_an_older_reading_of_this_tab_is_ended_first() -> None:
    lake = Lake()

    def read(asked: Asked) -> tuple[Shown, Shown]:
        return Shown("first", asked.selection.range), Shown("second")

    assert answered(read, lake=lake) == [
        "first",
        None,
        "7d",
        "tm-body",
        "tm-retry",
        "second",
        None,
        "",
        "tm-body",
        "tm-retry",
    ]
    assert lake.told == ["local cancels tab:p-a", "local asks tab:p-a"]


def test_a_failure_keeps_what_was_shown_and_tells_a_reference_and_nothing_of_the_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def read(asked: Asked) -> Shown:
        raise QueryError(f"Binder Error: {asked.window.zone}\nin: SELECT secret")

    body, notice, _caption, state, retry, *_second = answered(read)
    assert not isinstance(body, str)
    assert notice.id == "p-a-error"
    told = str(notice)
    assert "The lake could not answer" in told
    assert "Binder Error" not in told
    assert "SELECT secret" not in told
    assert (state, retry) == ("tm-body tm-failed", "tm-retry tm-shown")
    reference = caplog.records[0].getMessage().rpartition(" ")[2]
    assert f"Reference {reference}" in told


def test_what_was_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def read(asked: Asked) -> Shown:
        raise CancelledError(asked.window.zone)

    assert [part.id for part in answered(read) if hasattr(part, "id")] == ["p-a-cancelled", "p-b-cancelled"]
    assert caplog.records == []


@pytest.mark.parametrize("at", [Address("/other", "tab", ""), Address("/p", "tab", None)])
def test_a_page_that_was_left_or_an_address_that_is_not_known_yet_reads_nothing(at: Address) -> None:
    def read(asked: Asked) -> Shown:
        raise AssertionError(asked)

    with pytest.raises(PreventUpdate):
        answered(read, at)
