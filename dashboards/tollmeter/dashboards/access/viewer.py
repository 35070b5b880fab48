"""Who reads, and whose rows they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollmeter.model.errors import AccessError

_HELD_AS: Final = "tollmeter_viewer"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Someone who was let in: the subject of their token, and the tenants whose rows they see.

    `tenants` None means every row; an empty tuple means none at all.

    >>> Viewer("ada", ("acme",)).is_scoped, Viewer("root", None).is_scoped
    (True, False)
    """

    subject: str
    tenants: tuple[str, ...] | None

    @property
    def is_scoped(self) -> bool:
        """Whether some rows are hidden from them."""
        return self.tenants is not None


LOCAL: Final = Viewer("local", None)
"""Whoever sits at this machine, where nobody signs in: they can read the lake's files as well."""


def admit(seen: Viewer) -> None:
    """Remember who the request that is being answered comes from."""
    from flask import g

    setattr(g, _HELD_AS, seen)


def viewer() -> Viewer:
    """Who the request that is being answered comes from, as the gate found; nothing a payload says changes it.

    Raises:
        AccessError: no request is being answered, or it has not passed the gate.
    """
    from flask import g, has_app_context

    found = getattr(g, _HELD_AS, None) if has_app_context() else None
    if not isinstance(found, Viewer):
        raise AccessError("nobody was let in: the request did not pass the gate")
    return found
