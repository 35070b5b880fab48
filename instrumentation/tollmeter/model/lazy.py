"""Names of a package, imported when they are first asked for (PEP 562): a service loads what it uses, and no more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_from(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: each name stands in the module named beside it, relatively.

    No name may be that of a module of the package: importing that module would put it in the name's place.

    >>> names_from("json", {"JSONDecoder": ".decoder"})("JSONDecoder").__module__
    'json.decoder'
    """

    def find(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home, package), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
