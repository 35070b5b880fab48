from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import hold, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def test_anthropic(shared: Path, tmp_path: Path) -> None:
    hold("anthropic", judge("anthropic", "anthropic_sdk", shared, tmp_path))
