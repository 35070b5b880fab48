"""Fixtures that every suite shares."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tollmeter.model.home import Home


class BeyondLoopbackError(Exception):
    """A test tried to reach another machine."""


def _refuse_beyond_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    if host not in ("localhost", "") and not ipaddress.ip_address(host).is_loopback:
        raise BeyondLoopbackError(f"a test tried to reach {host}")


# An audit hook cannot be undone or bypassed, by a test or a library.
sys.addaudithook(_refuse_beyond_loopback)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tollmeter", deadline=None)
hypothesis.settings.load_profile("tollmeter")

# They run in environments of their own, where their SDKs are.
collect_ignore = ["sdks/drivers"]
ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `make soak` alone runs."""
    full = [] if os.environ.get("TOLLMETER_FULL") else [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


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
