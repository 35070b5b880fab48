"""Rules that tell which names mean a model, as genai-prices writes them.

A rule is a list: `["equals", text]`, `["starts_with", text]`, `["ends_with", text]`, `["contains", text]`,
`["regex", pattern]`, `["or", rule, …]` or `["and", rule, …]`. Names are compared in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

Rule = list[Any]

_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "equals": str.__eq__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
    "regex": lambda name, pattern: re.search(pattern, name) is not None,
}


def is_match(rule: Rule, name: str) -> bool:
    """Whether a rule accepts a name, which must be in lower case.

    >>> is_match(["or", ["equals", "gpt-4o"], ["starts_with", "gpt-4o-2024"]], "gpt-4o-2024-08-06")
    True

    Raises:
        ValueError: the rule is of no known kind.
    """
    kind, *operands = rule
    if kind == "or":
        return any(is_match(operand, name) for operand in operands)
    if kind == "and":
        return all(is_match(operand, name) for operand in operands)
    if kind not in _TESTS:
        raise ValueError(f"rule kind {kind!r} is not known")
    return _TESTS[kind](name, operands[0])


def exact_names(rule: Rule) -> Iterator[str]:
    """The names a rule accepts by equality alone.

    >>> list(exact_names(["or", ["equals", "a"], ["starts_with", "b"]]))
    ['a']
    """
    kind, *operands = rule
    if kind == "equals":
        yield operands[0]
    elif kind == "or":
        for operand in operands:
            yield from exact_names(operand)
