from __future__ import annotations

from pathlib import Path

import pytest
from sdks.judging import hold, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def test_boto3(shared: Path, tmp_path: Path) -> None:
    hold("boto3", judge("boto3", "boto3_sdk", shared, tmp_path))
