"""The last look at an event before it is written: whatever the ETL would refuse is mended here, and counted."""

from __future__ import annotations

from typing import Any, Final, get_type_hints

import msgspec
from msgspec import structs

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.text import MAX_NAME, clean_text
from tollmeter.model.events import Event, Request, decode, encode

ORDINARY_BYTES: Final = 4096
"""A line up to this holds no text that is too long: the longest a text may be is as long."""
MAX_BYTES: Final = 1_000_000
"""The ETL takes 1 MiB of one line, and CloudWatch as much of a log event, which says a little more."""
LOSS_MENDED: Final = "field_out_of_bounds"
_MAX_ENTRIES: Final = 256


def fit_line(event: Event) -> bytes:
    """The line of an event, of which fields out of bounds have been cut, or fall back to their default.

    Raises:
        Exception: the event cannot be mended: one of its required fields has no value.
    """
    try:
        line = encode(event)
        decode(line)
    except Exception:  # noqa: BLE001  whatever it is, it is looked for field by field
        event = _mended(event)
        line = encode(event)
    while len(line) > MAX_BYTES and isinstance(event, Request) and event.steps:
        kept = event.steps[: len(event.steps) // 2]
        dropped = event.steps_dropped + len(event.steps) - len(kept)
        event = structs.replace(event, steps=kept, steps_dropped=dropped)
        line = encode(event)
    return line


def _mended(event: Event) -> Event:
    types = get_type_hints(type(event), include_extras=True)
    defaults = {field.name: field for field in structs.fields(event)}
    changed: dict[str, Any] = {}
    for name, kind in types.items():
        value = getattr(event, name)
        fit = _fit(value, kind)
        if fit is msgspec.UNSET:
            losses.add(f"{LOSS_MENDED}:{name}")
            fit = defaults[name].default if defaults[name].default is not msgspec.NODEFAULT else {}
        if fit is not value:
            changed[name] = fit
    return structs.replace(event, **changed)


def _fit(value: Any, kind: Any) -> Any:
    """The value, a shorter one that fits, or UNSET."""
    for candidate in (value, _shortened(value)):
        try:
            msgspec.convert(msgspec.to_builtins(candidate), kind)
            msgspec.json.encode(candidate)
        except Exception:  # noqa: BLE001, S112  a value of any kind
            continue
        return candidate
    return msgspec.UNSET


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value, MAX_NAME)
    if isinstance(value, dict):
        pairs = list(value.items())[:_MAX_ENTRIES]
        return {clean_text(key, MAX_NAME): _shortened(each) for key, each in pairs}
    return value
