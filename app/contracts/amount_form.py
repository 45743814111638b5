"""How a source writes amounts that are not plain decimals, as it declared it."""

import re
from dataclasses import dataclass

from app.errors import UsageError

LEADING, TRAILING, PARENTHESES = range(3)
"""Where the sign stands: ``-1``, ``1-``, or ``(1)`` for less than nothing."""

_EXAMPLE = re.compile(r"(?:1([, .'])?234)([.,])56", flags=re.ASCII)


@dataclass(frozen=True)
class AmountForm:
    """How a source writes amounts."""

    separator: str  # between thousands; empty where there is none
    point: str
    sign: int  # LEADING, TRAILING or PARENTHESES


def form_of(example: str) -> AmountForm:
    """The form of which this is the example: the number 1234.56, such as ``1,234.56`` or ``1.234,56-`` or ``(1 234.56)``."""
    sign = PARENTHESES if example[:1] + example[-1:] == "()" else TRAILING if example.endswith("-") else LEADING
    number = {PARENTHESES: example[1:-1], TRAILING: example[:-1], LEADING: example.removeprefix("-")}[sign]
    match = _EXAMPLE.fullmatch(number)
    if match is None or match[1] == match[2]:
        raise UsageError(f"--amounts {example!r} is no form of 1234.56; write it as the source would: 1,234.56 or 1.234,56- or (1234.56)")
    return AmountForm(match[1] or "", match[2], sign)
