"""Put first on the path by `tollmeter run`: Python imports it at start-up, before the service."""

import importlib.machinery
import importlib.util
import logging
import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)


def _chain() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    others = [path for path in sys.path if Path(path or ".").resolve() != Path(_HERE)]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


try:
    _chain()
    from tollmeter.instrumentation.autoload import instrument_new_apps

    instrument_new_apps()
except Exception:  # the service must start
    logging.getLogger("tollmeter").exception("tollmeter is off")
