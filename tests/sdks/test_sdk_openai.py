from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import judge_and_hold

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


@pytest.mark.parametrize("name", ["openai2", "openai3"])
def test_openai(name: str, shared: Path, tmp_path: Path) -> None:
    judge_and_hold(name, "openai_sdk", shared, tmp_path)
