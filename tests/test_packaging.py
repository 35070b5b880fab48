"""The traps of one namespace over many folders, each guarded once."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = CONFIG["tool"]["hatch"]["build"]["dev-mode-dirs"]


def test_no_portion_closes_the_namespace() -> None:
    assert [str(p) for folder in FOLDERS for p in (ROOT / folder).glob("tollmeter/__init__.py")] == []


def test_no_module_lies_directly_in_a_root() -> None:
    assert [str(p) for folder in FOLDERS for p in (ROOT / folder).glob("*.py")] == []


def test_each_portion_is_typed() -> None:
    portions = [p for folder in FOLDERS for p in (ROOT / folder / "tollmeter").iterdir() if p.is_dir()]
    assert len(portions) == 9
    assert [p.name for p in portions if not (p / "py.typed").exists()] == []


def test_the_folder_lists_agree() -> None:
    wheel = CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == wheel["sources"] == FOLDERS
    assert CONFIG["tool"]["ruff"]["src"] == CONFIG["tool"]["coverage"]["run"]["source"] == FOLDERS
    assert CONFIG["tool"]["pyright"]["extraPaths"] == [*FOLDERS, "tests"]


@pytest.mark.slow
def test_the_wheel_built_from_the_sdist_holds_every_file(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("tollmeter-")}
    listed = subprocess.run(
        ["git", "ls-files", *FOLDERS], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    expected = {name.split("/", 1)[1] for name in listed if "/tollmeter/" in name}
    assert expected - packed == set()


def test_a_bare_install_of_the_service_side_needs_two_packages() -> None:
    names = sorted(requirement.split(">")[0] for requirement in CONFIG["project"]["dependencies"])
    assert names == ["msgspec", "uuid-utils"]


def test_importing_the_instrumentation_pulls_in_nothing_heavy() -> None:
    code = "import sys, tollmeter.instrumentation; print(*sorted(m.split('.')[0] for m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"boto3", "pyarrow", "dash", "duckdb", "rich", "typer", "genai_prices", "httpx", "httpx2", "opentelemetry"}
    assert heavy & set(out) == set()
