"""An environment for each pinned set, made on first use under `.venvs/` and anew whenever the set changes.

The sets cannot share one: litellm needs openai below 3 at times, aiobotocore an older boto3, langchain-core an older
uuid-utils. Ours is not installed in them: it is on the path, so what runs is the working tree.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SETS: Final = Path(__file__).parent
ROOT: Final = SETS.parents[1]
VENVS: Final = ROOT / ".venvs"
PATHS: Final = (ROOT / "instrumentation", ROOT / "tests")


def python_of(name: str, sets: Path = SETS) -> Path:
    """The interpreter of a set's environment; installs it where that has not happened yet."""
    requirements = sets / f"{name}.txt"
    key = hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()[:12]
    folder = VENVS / f"{name}-{key}"
    python = folder / "bin" / "python"
    VENVS.mkdir(exist_ok=True)
    with _alone(VENVS / f"{name}.lock"):
        if not (folder / ".complete").exists():
            for stale in VENVS.glob(f"{name}-{'?' * len(key)}"):
                shutil.rmtree(stale)
            uv = Path(sys.executable).with_name("uv")
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", python, "-r", requirements], check=True)
            (folder / ".complete").touch()
    return python


def run_with(python: Path, *command: str | Path, timeout_s: float = 900) -> None:
    """Run a program with our packages and the drivers on its path; raises where it fails, with what it said."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    done = subprocess.run(
        [python, *command], env=environ, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{python}: {done.stdout[-2000:]}{done.stderr[-4000:]}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file: two test workers may want the same environment."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
