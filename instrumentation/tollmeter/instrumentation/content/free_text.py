"""The redactors that a setting names, over every text that the application supplies with an event."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from msgspec import structs

from tollmeter.instrumentation.content.redactors import Pipeline, RedactionError
from tollmeter.instrumentation.context import ATTRIBUTION_FIELDS
from tollmeter.model.events import Evaluation, Event, LlmCall, Request

DROPPED: Final = "[dropped]"
"""Stands for a text that a redactor failed on."""

_FIELDS: Final = {
    Request: (*sorted(ATTRIBUTION_FIELDS), "error_type"),
    LlmCall: (*sorted(ATTRIBUTION_FIELDS), "error_type"),
    Evaluation: (*sorted(ATTRIBUTION_FIELDS), "name", "evaluator", "comment"),
}


class Redaction:
    """Redacts attribution, tags, names of steps, types of errors and evaluations.

    Raises:
        SettingError: a redactor is not known.
    """

    def __init__(self, redactors: Iterable[Any]) -> None:
        self._pipeline = Pipeline(redactors)
        self._text = lru_cache(maxsize=512)(self._redacted)

    def __call__(self, event: Event) -> Event:
        """The event, redacted."""
        fields = _FIELDS.get(type(event))
        if fields is None or not isinstance(event, Request | LlmCall | Evaluation):
            return event
        text = self._text
        changed: dict[str, Any] = {name: text(value) for name in fields if (value := getattr(event, name))}
        if event.tags:
            changed["tags"] = {text(key): text(value) for key, value in event.tags.items()}
        if isinstance(event, Request) and event.steps:
            changed["steps"] = [structs.replace(step, name=text(step.name)) for step in event.steps]
        return structs.replace(event, **changed) if changed else event

    def _redacted(self, text: str) -> str:
        try:
            return self._pipeline(text)
        except RedactionError:
            return DROPPED
