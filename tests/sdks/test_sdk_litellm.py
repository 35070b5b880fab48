from __future__ import annotations

import os
from pathlib import Path

import pytest
from sdks.judging import hold, hold_sample, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

EVERY = int(os.environ.get("TOLLMETER_SDK_EVERY", "4"))


def test_litellm(shared: Path, tmp_path: Path) -> None:
    verdict = judge("litellm", "litellm_sdk", shared, tmp_path, every=EVERY)
    (hold if EVERY == 1 else hold_sample)("litellm", verdict)
