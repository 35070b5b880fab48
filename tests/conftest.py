"""Fixtures that every suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tollmeter.model.home import Home

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real traces and recorded responses."""
    path = Path(os.environ.get("TOLLMETER_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip(f"no real data at {path}; set TOLLMETER_SHARED")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh home."""
    return Home(tmp_path / "home")
