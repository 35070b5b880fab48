from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import hold, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def test_aiobotocore(shared: Path, tmp_path: Path) -> None:
    hold("aiobotocore", judge("aiobotocore", "aiobotocore_sdk", shared, tmp_path))
