"""Rules by which reviewers propose corrections in bulk: each undoes one thing that programs are known to do to such texts.

A rule only says what a text may have been. Whether the record is acceptable then, the validator says; whether it is true, two people do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.landing import NAMES
from app.errors import UsageError

Fix = Callable[[pa.ChunkedArray], pa.ChunkedArray]


@dataclass(frozen=True)
class Rule:
    """One rule: texts of some columns in, texts out; null where it has nothing to say."""

    name: str
    sentence: str
    columns: tuple[str, ...]
    fix: Fix


def _matching(pattern: str, write: Fix) -> Fix:
    """Texts that are wholly of this form, written anew."""

    def fix(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.if_else(pc.match_substring_regex(texts, f"^(?:{pattern})$"), write(texts), None)

    return fix


def _replaced(pattern: str, by: str) -> Fix:
    """Texts that are wholly of this form, their groups put together otherwise."""
    return _matching(pattern, lambda texts: pc.replace_substring_regex(texts, f"^(?:{pattern})$", by))


def _padded(least: int, width: int) -> Fix:
    """Digits that lost their zeros in front: at least so many are left."""
    return _matching(f"[0-9]{{{least},{width - 1}}}", lambda texts: pc.utf8_lpad(texts, width, "0"))


def _stripped(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, _INVISIBLE, ""))


_INVISIBLE: Final = "[\u00ad\u200b-\u200f\u2060\ufeff]"  # soft hyphen, zero width, marks of direction, byte order mark
_SORT_CODES, _ACCOUNTS = ("sort_code", "counterparty_sort_code"), ("account_number", "counterparty_account")
_CODES: Final = ("currency", "country", "channel", "counterparty_iban")
_IDENTIFIERS: Final = tuple(name for name in NAMES if name != "description")
_COMMA: Final = "([+-]?[0-9]+),([0-9]{1,2})"
_DAY_FIRST: Final = r"(1[3-9]|2[0-9]|3[01])/(0[1-9]|1[0-2])/([0-9]{4})[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?.*)"
_day_first = _replaced(_DAY_FIRST, r"\3-\2-\1T\4")
_capitals = _matching("[A-Za-z0-9]+", pc.ascii_upper)
_without_commas = _matching(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+", lambda texts: pc.replace_substring(texts, ",", ""))

RULES: Final = (
    Rule("left-pad-sort-code", "a sort code of four or five digits has lost the zeros in front", _SORT_CODES, _padded(4, 6)),
    Rule("left-pad-account-number", "an account number of six or seven digits has lost the zeros in front", _ACCOUNTS, _padded(6, 8)),
    Rule("strip-blanks", "blanks around a value and invisible characters in it do not belong to it", _IDENTIFIERS, _stripped),
    Rule("upper-case", "codes are written in capital letters", _CODES, _capitals),
    Rule("country-uk", "UK is written GB in ISO 3166-1", ("country",), _replaced("UK", "GB")),
    Rule("decimal-comma", "a comma before one or two last digits is the decimal point", ("amount",), _replaced(_COMMA, r"\1.\2")),
    Rule("thousands-comma", "commas between groups of three digits and a decimal point separate thousands", ("amount",), _without_commas),
    Rule("day-first", "a date whose first number is no month, such as 31/01/2026, begins with its day", ("timestamp",), _day_first),
)
"""Every rule; docs/quarantine.md lists them."""


def rule_of(name: str) -> Rule:
    """The rule of this name."""
    for rule in RULES:
        if rule.name == name:
            return rule
    raise UsageError(f"there is no rule {name}; the rules are {', '.join(rule.name for rule in RULES)}")


def fixed(rule: Rule, texts: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    """By column, the new texts that the rule has for ``texts`` (``landing.SCHEMA``); null where it changes nothing."""
    found = {}
    for name in rule.columns:
        new = rule.fix(texts[name])
        found[name] = pc.if_else(pc.equal(new, texts[name]), None, new)
    return found
