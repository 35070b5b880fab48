"""Saved views: names for addresses, each viewer's own, kept in the home's `state/`."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tollmeter.model.home import Home

MOST_VIEWS: Final = 100
LONGEST_NAME: Final = 80
LONGEST_ADDRESS: Final = 16_384
_FOLDER: Final = "dashboard-views"


@dataclass(frozen=True, slots=True)
class View:
    """A name, and the page and query string it stands for."""

    name: str
    path: str
    search: str


@dataclass(frozen=True, slots=True)
class Views:
    """A viewer's views by name, and which of them the dashboard opens with; empty for none."""

    views: tuple[View, ...] = ()
    default: str = ""

    def find(self, name: str) -> View | None:
        """The view of that name."""
        return next((view for view in self.views if view.name == name), None)


@dataclass(slots=True)
class ViewStore:
    """One file per viewer, replaced whole; safe between threads and processes."""

    home: Home
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, subject: str) -> Views:
        """A viewer's views; none where nothing was saved or the file is not ours to understand."""
        try:
            held = json.loads(self._file(subject).read_text("utf-8"))
            return Views(tuple(View(**view) for view in held["views"]), held["default"])
        except (OSError, ValueError, KeyError, TypeError):
            return Views()

    def save(self, subject: str, view: View) -> Views:
        """Save a view, over the one of its name if there is one.

        Raises:
            UsageError: the name or address is empty or too long, or there are too many views.
        """
        name = _allowed(view.name)
        if len(view.search) > LONGEST_ADDRESS:
            raise UsageError(
                f"this address is too long to be saved: {len(view.search)} of {LONGEST_ADDRESS} characters"
            )
        with self._changing(subject) as held:
            others = tuple(one for one in held.views if one.name != name)
            if len(others) >= MOST_VIEWS:
                raise UsageError(f"there are {MOST_VIEWS} views already; delete one first")
            return self._write(subject, replace(held, views=_sorted((*others, replace(view, name=name)))))

    def rename(self, subject: str, old: str, new: str) -> Views:
        """Give a view another name.

        Raises:
            UsageError: there is no such view, or the new name is taken or not allowed.
        """
        name = _allowed(new)
        with self._changing(subject) as held:
            view = held.find(old)
            if view is None:
                raise UsageError(f"there is no view {old!r}")
            if name != old and held.find(name):
                raise UsageError(f"there is a view {name!r} already")
            others = tuple(one for one in held.views if one.name != old)
            default = name if held.default == old else held.default
            return self._write(subject, Views(_sorted((*others, replace(view, name=name))), default))

    def delete(self, subject: str, name: str) -> Views:
        """Drop a view; one that is not there is gone already."""
        with self._changing(subject) as held:
            kept = tuple(view for view in held.views if view.name != name)
            return self._write(subject, Views(kept, "" if held.default == name else held.default))

    def make_default(self, subject: str, name: str) -> Views:
        """Open the dashboard with a view from now on; with none where the name is empty.

        Raises:
            UsageError: there is no such view.
        """
        with self._changing(subject) as held:
            if name and not held.find(name):
                raise UsageError(f"there is no view {name!r}")
            return self._write(subject, replace(held, default=name))

    @contextmanager
    def _changing(self, subject: str) -> Iterator[Views]:
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock, (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read(subject)

    def _write(self, subject: str, views: Views) -> Views:
        file = self._file(subject)
        fresh = file.with_suffix(f".{os.getpid()}.new")
        held: dict[str, Any] = {"subject": subject, "default": views.default, "views": [asdict(v) for v in views.views]}
        with fresh.open("w", encoding="utf-8") as handle:
            json.dump(held, handle, ensure_ascii=False, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        fresh.replace(file)
        return views

    def _folder(self) -> Path:
        return self.home.state / _FOLDER

    def _file(self, subject: str) -> Path:
        # A subject is whatever an issuer says it is: no file's name.
        return self._folder() / f"{sha256(subject.encode()).hexdigest()[:32]}.json"


def _allowed(name: str) -> str:
    kept = name.strip()
    if not kept or len(kept) > LONGEST_NAME:
        raise UsageError(f"a view's name has 1 to {LONGEST_NAME} characters, not {len(kept)}")
    return kept


def _sorted(views: tuple[View, ...]) -> tuple[View, ...]:
    return tuple(sorted(views, key=lambda view: view.name.casefold()))
