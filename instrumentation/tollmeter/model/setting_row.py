"""One row of the settings table: how its value is read from the environment, or taken as an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollmeter.model.errors import SettingError
from tollmeter.model.values import Kind

PREFIX: Final = "TOLLMETER_"
HIDDEN: Final = "***"
"""Stands for the value of a setting that may hold a key."""


class Row:
    """One setting: its default, the kind of its values, what it means, and whether it may hold a key."""

    __slots__ = ("_default", "_env", "doc", "is_secret", "kind", "name")

    def __init__(self, default: Any, kind: Kind, doc: str, env: str, *, is_secret: bool) -> None:
        self.name = ""
        self.kind = kind
        self.doc = doc
        self.is_secret = is_secret
        self._default = default
        self._env = env

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def default(self) -> Any:
        """Its value where nothing is said."""
        return {} if self._default == {} else self._default

    @property
    def env_names(self) -> list[str]:
        """The environment variables it is read from, in order."""
        return [PREFIX + self.name.upper(), *self._env.split()]

    def read(self, environ: Mapping[str, str]) -> Any:
        """Its value by the environment.

        Raises:
            SettingError: the value is not allowed.
        """
        for name in self.env_names:
            if environ.get(name):
                return self.parse(name, environ[name])
        return self.default

    def parse(self, name: str, text: str) -> Any:
        """Its value from text; `name` is what the error calls it.

        Raises:
            SettingError: the value is not allowed.
        """
        try:
            return self.kind.read(text)
        except (KeyError, ValueError, ArithmeticError):
            raise SettingError(name, HIDDEN if self.is_secret else text, self.kind.allowed) from None

    def check(self, value: Any) -> Any:
        """Its value from an argument, text or an object.

        Raises:
            SettingError: the value is not allowed.
        """
        default = self.default
        if isinstance(value, str):
            return self.parse(self.name, value)
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        if isinstance(value, type(default)) and self.kind.text_of is not None:
            return self.parse(self.name, self.kind.text_of(value)) if value else default
        if isinstance(value, type(default)) or (isinstance(default, float) and isinstance(value, int)):
            return value
        raise SettingError(self.name, HIDDEN if self.is_secret else value, self.kind.allowed)
