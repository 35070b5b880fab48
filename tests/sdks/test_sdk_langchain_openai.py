from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import judge_and_hold

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def test_langchain_openai(shared: Path, tmp_path: Path) -> None:
    judge_and_hold("langchain-openai", "langchain_openai_sdk", shared, tmp_path)
