"""An account or an IBAN as people write it at a command, checked as one in a record is."""

import re
from typing import Final

import pyarrow as pa

from app.columns import from_arrow
from app.contracts.reasons import code_of, reason_of
from app.errors import UsageError
from app.validation import account_number, iban, sort_code

_SEPARATORS: Final = re.compile(r"[\s-]+")


def checked(text: str) -> str:
    """``SSSSSS-AAAAAAAA`` of a sort code and an account number, or an IBAN in its electronic form; UsageError names what is wrong.

    Blanks and hyphens may stand anywhere, and letters may be small: this is somebody's typing, no record of a feed.
    """
    plain = _SEPARATORS.sub("", text).upper()
    if re.fullmatch("[0-9]+", plain, re.ASCII):
        return _account(plain, text)
    if not re.fullmatch("[A-Z]{2}[0-9A-Z]+", plain, re.ASCII):
        raise UsageError(f"{text!r} is neither an account (SSSSSS-AAAAAAAA) nor an IBAN")
    _, codes = iban.check(from_arrow(pa.array([plain])))
    _refuse(text, int(codes[0]))
    return plain


def _account(digits: str, text: str) -> str:
    if len(digits) != 14:
        raise UsageError(f"{text!r} has {len(digits)} digits: an account is a sort code of six and an account number of eight")
    code, number = digits[:6], digits[6:]
    _refuse(text, int(sort_code.check(from_arrow(pa.array([code])), "sort_code")[1][0]))
    _refuse(text, int(account_number.check(from_arrow(pa.array([number])), "account_number")[0]))
    return f"{code}-{number}"


def _refuse(text: str, fault: int) -> None:
    if fault:
        reason = reason_of(code_of(fault))
        raise UsageError(f"{text!r} is no account and no IBAN: {reason.code}: {reason.sentence}")
