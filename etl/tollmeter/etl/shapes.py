"""The kinds of event as nearly every line holds them, decoded in one pass into values that become columns.

What these types accept, `tollmeter.etl.parse` accepts too, with the same values; what they refuse, or what a column
shows to be out of bounds, is decided there. So they are a shorter way to the same verdict, never another verdict.
"""

from __future__ import annotations

from typing import Any, Final, Union, get_type_hints

import msgspec

from tollmeter.etl.parse import MONEY_UNIT, Parsed
from tollmeter.model.columns import COLUMNS
from tollmeter.model.events import Evaluation, LlmCall, Request, Run, Step
from tollmeter.model.names import TABLE_OF_KIND

Shape = type[msgspec.Struct]

_MONEY: Final = frozenset(column.name for column in COLUMNS if column.type == "money")
_JSON: Final = frozenset(column.name for column in COLUMNS if column.type == "json")


class _Step(Step, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    pass


def _shape(event: type[msgspec.Struct]) -> Shape:
    """The type of an event without unknown fields and without work for the garbage collector.

    Fields keep their types, for each of duplicate keys must be valid, and a column sees the last alone.
    """
    hints = get_type_hints(event, include_extras=True)
    fields = [_field(each, hints[each.name]) for each in msgspec.structs.fields(event)]
    return msgspec.defstruct(
        f"{event.__name__}Shape",
        fields,
        kw_only=True,
        gc=False,
        tag_field="kind",
        tag=event.__struct_config__.tag,
        forbid_unknown_fields=True,
    )


def _field(field: msgspec.structs.FieldInfo, hint: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    if field.name in _JSON:
        return field.name, (list[_Step] if field.name == "steps" else hint) | msgspec.UnsetType, msgspec.UNSET
    return (field.name, hint) if field.required else (field.name, hint, field.default)


SHAPES: Final[dict[str, Shape]] = {
    str(event.__struct_config__.tag): _shape(event) for event in (Request, LlmCall, Evaluation, Run)
}
"""The shape of each kind."""

TABLE_OF_SHAPE: Final[dict[type, str]] = {shape: TABLE_OF_KIND[kind] for kind, shape in SHAPES.items()}

decode: Final = msgspec.json.Decoder(Union[tuple(SHAPES.values())]).decode  # noqa: UP007 - the members are made above
"""The shape on one line.

Raises:
    msgspec.DecodeError: the line is none, or none that can be told to be one without a closer look.
"""


def shape_of(parsed: Parsed) -> msgspec.Struct:
    """A parsed event as the shape it would have had: amounts and JSON columns as texts."""
    event = parsed.event
    values: dict[str, Any] = {name: getattr(event, name) for name in event.__struct_fields__}
    for name in _MONEY.intersection(values):
        if values[name] is not None:
            values[name] = f"{values[name].quantize(MONEY_UNIT):f}"
    for name in _JSON.intersection(values):
        values[name] = parsed.texts.get(name, "")
    return SHAPES[str(event.__struct_config__.tag)](**values)
