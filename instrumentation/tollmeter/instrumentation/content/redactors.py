"""Redactors: plain callables, text in and text out, run one after the other.

Those shipped know e-mail addresses, phone and payment card numbers, IBANs and IP addresses; secrets are replaced last,
whatever is named.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.text import fit
from tollmeter.model.errors import SettingError
from tollmeter.model.secrets import scrub

Redactor = Callable[[str], str]
LOSS_REDACTOR: Final = "redactor_failed"
DEFAULT: Final = ("email", "phone", "card", "iban")

_EMAIL: Final = re.compile(r"[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE: Final = re.compile(
    r"(?<![\w+])(?:\+\d{1,3}(?:[ ./-]{0,2}\(?\d{1,5}\)?){2,6}|\(\d{2,5}\) ?\d{2,4}[ .-]?\d{3,8}"
    r"|\d{3}[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ /-]\d{5,8})(?!\w)"
)
_DIGITS: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,60}(?!\d)")
_GROUP: Final = re.compile(r"\d+")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,34}")
_IPV4: Final = re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")
_IPV6: Final = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_CARD_DIGITS: Final = range(13, 20)
_PHONE_DIGITS: Final = range(7, 16)
_IBAN_LENGTHS: Final = range(15, 35)


def email(text: str) -> str:
    """Without e-mail addresses.

    >>> email("write to jo.smith+x@mail.example.com, please")
    'write to [email], please'
    """
    return _EMAIL.sub("[email]", text) if "@" in text else text


def phone(text: str) -> str:
    """Without phone numbers: those with a +, and such as are written in groups.

    >>> phone("+49 (30) 1234-5678 or 555-123-4567, order 1234567890")
    '[phone] or [phone], order 1234567890'
    """
    return _PHONE.sub(lambda found: "[phone]" if _count(found[0]) in _PHONE_DIGITS else found[0], text)


def card(text: str) -> str:
    """Without payment card numbers: 13 to 19 digits, in groups or not, whose check digit is right (Luhn).

    >>> card("4111 1111 1111 1111 123, 4111111111111112")
    '[card] 123, 4111111111111112'
    """
    return _DIGITS.sub(lambda found: _without_card(found[0]), text)


def iban(text: str) -> str:
    """Without IBANs whose check digits are right (ISO 7064, mod 97).

    >>> iban("to DE89 3704 0044 0532 0130 00 AND DE00370400440532013000")
    'to [iban] AND DE00370400440532013000'
    """
    return _IBAN.sub(lambda found: _without_iban(found[0]), text)


def ip(text: str) -> str:
    """Without IP addresses.

    >>> ip("10.0.0.255 and 2001:db8::1 at 12:30:59, version 1.2.3")
    '[ip] and [ip] at 12:30:59, version 1.2.3'
    """
    without = _IPV4.sub("[ip]", text)
    return _IPV6.sub(lambda found: "[ip]" if "::" in found[0] or found[0].count(":") == 7 else found[0], without)  # noqa: PLR2004


BUILT_IN: Final[dict[str, Redactor]] = {
    "email": email, "phone": phone, "card": card, "iban": iban, "ip": ip, "secret": scrub,
}  # fmt: skip


class RedactionError(Exception):
    """A redactor failed: the text must not be written. It does not say what the text was."""


class Pipeline:
    """Redactors by name, as `module:function`, or themselves.

    Raises:
        SettingError: one of them is not known, or cannot be imported.
    """

    def __init__(self, redactors: Iterable[Any]) -> None:
        self._steps = [(_name_of(each), _load(each)) for each in redactors]

    def __call__(self, text: str) -> str:
        """The text, fit to be stored, without what the redactors know, and without secrets.

        Raises:
            RedactionError: one of them raised, or did not return text; it is counted by its name.
        """
        text = fit(text)
        for name, step in self._steps:
            try:
                text = step(text)
            except Exception:  # noqa: BLE001  whatever it is, it may hold the text
                text = None  # type: ignore[assignment]
            if not isinstance(text, str):
                losses.add(f"{LOSS_REDACTOR}:{name}"[:128])
                raise RedactionError
        return scrub(fit(text))


def _load(redactor: Any) -> Redactor:
    if callable(redactor):
        return redactor  # type: ignore[no-any-return]  # what it returns is looked at each time
    if redactor in BUILT_IN:
        return BUILT_IN[redactor]
    module, _, name = str(redactor).partition(":")
    try:
        found: Redactor = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module may raise anything
        raise SettingError("redactors", redactor, f"{', '.join(BUILT_IN)} or module:function") from error
    return found


def _name_of(redactor: Any) -> str:
    return redactor if isinstance(redactor, str) else str(getattr(redactor, "__name__", type(redactor).__name__))


def _count(text: str) -> int:
    return sum(map(str.isdigit, text))


def _without_card(text: str) -> str:
    groups = list(_GROUP.finditer(text))
    for first, start in enumerate(groups):
        for end in groups[first:]:
            digits = "".join(filter(str.isdigit, text[start.start() : end.end()]))
            if len(digits) in _CARD_DIGITS and _luhn(digits):
                return f"{text[: start.start()]}[card]{_without_card(text[end.end() :])}"
    return text


def _luhn(digits: str) -> bool:
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _without_iban(text: str) -> str:
    ends = [at + 1 for at, char in enumerate(text) if char.isalnum()]
    for length in reversed(_IBAN_LENGTHS):
        if length <= len(ends):
            end = ends[length - 1]
            plain = "".join(filter(str.isalnum, text[:end])).upper()
            number = "".join(str(int(char, 36)) for char in plain[4:] + plain[:4])
            if int(number) % 97 == 1:
                return "[iban]" + text[end:]
    return text
