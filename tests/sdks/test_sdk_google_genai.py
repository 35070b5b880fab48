from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import hold, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def test_google_genai(shared: Path, tmp_path: Path) -> None:
    hold("google-genai", judge("google-genai", "google_genai_sdk", shared, tmp_path))
