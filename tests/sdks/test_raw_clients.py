from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from sdks.judging import hold, hold_sample, judge

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

EVERY = int(os.environ.get("TOLLMETER_SDK_EVERY", "8"))


def test_clients_hand_on_the_same_chunks(shared: Path, tmp_path: Path) -> None:
    verdict = judge("clients", "raw_clients", shared, tmp_path, python=Path(sys.executable), every=EVERY)
    assert not verdict.unparsed
    (hold if EVERY == 1 else hold_sample)("clients", verdict)
