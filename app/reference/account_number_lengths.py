"""Account numbers that do not have eight digits: how the specification makes eight of them, and at which banks.

Pay.UK, "Validating account numbers", section 2 (non-standard account numbers): six and seven digits get zeros in front. Nine digits are
Santander's (formerly Alliance & Leicester): the first takes the place of the sort code's last digit. Of ten digits the Co-operative
Bank's first eight count, and National Westminster's last eight. Other banks have nine digits too and other rules, so a rule holds for
its own bank's sort codes and for no others; the specification names banks, the ranges of their sort codes are commonly known ones.
"""

from dataclasses import dataclass
from functools import cache

from app.reference import table


@dataclass(frozen=True)
class LengthRule:
    """What to do with account numbers of so many digits at sort codes of a range."""

    first: str
    last: str
    digits: int
    rule: str  # zeros, first_eight, last_eight or sort_code_digit
    bank: str


@cache
def length_rules() -> tuple[LengthRule, ...]:
    """Every rule."""
    rows = table.read("account_number_lengths")
    return tuple(LengthRule(row["first"], row["last"], int(row["digits"]), row["rule"], row["bank"]) for row in rows)
