from __future__ import annotations

import os
from pathlib import Path

from sdks.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdks.md"


def test_the_page_of_sdks_is_what_they_did() -> None:
    text = page()
    if os.environ.get("TOLLMETER_UPDATE_GOLDEN"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "run: make golden, and review the diff"
