"""How long records are kept, from when, and by which law: facts in our own words, each in force from a day.

This says what the law asks. What is done about it, and when, is decided elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.errors import UsageError


class Clock(StrEnum):
    """The day from which a rule's years count."""

    RECORD_MADE = "the record was made"
    TRANSACTION_COMPLETE = "the transaction was complete"
    RELATIONSHIP_ENDED = "the business relationship with the customer ended"
    AUDIT_CONCLUDED = "the audit of the year that the record belongs to was concluded"


class Ending(StrEnum):
    """What happens when the years are over."""

    MUST_ERASE = "personal data must be erased, unless another law or legal proceedings need it"
    MAY_ERASE = "the record may be erased"


@dataclass(frozen=True)
class RetentionRule:
    """A rule, as it is in force from a day on, until a later one of the same name.

    ``years`` is the least time that a record is kept. ``most_years`` is the longest that it has to be kept though the clock has not begun,
    from when it was made; None if the law names no such time.
    """

    name: str
    in_force_from: date
    years: int
    clock: Clock
    ending: Ending
    law: str
    article: str
    sentence: str
    most_years: int | None = None


MLR_2017 = "Money Laundering, Terrorist Financing and Transfer of Funds (Information on the Payer) Regulations 2017 (SI 2017/692)"
MLR_2007 = "Money Laundering Regulations 2007 (SI 2007/2157)"

RULES = (
    RetentionRule(
        "payments_of_customers",
        date(2007, 12, 15),
        5,
        Clock.TRANSACTION_COMPLETE,
        Ending.MAY_ERASE,
        MLR_2007,
        "regulation 19",
        "Supporting records of a transaction were kept for five years from its completion.",
    ),
    RetentionRule(
        "payments_of_customers",
        date(2017, 6, 26),
        5,
        Clock.RELATIONSHIP_ENDED,
        Ending.MUST_ERASE,
        MLR_2017,
        "regulation 40(2) to (5)",
        "What is needed to reconstruct a customer's transaction is kept until five years after the business relationship ended, but no "
        "transaction of a relationship need be kept for more than ten years; then personal data is erased.",
        most_years=10,
    ),
    RetentionRule(
        "occasional_transactions",
        date(2007, 12, 15),
        5,
        Clock.TRANSACTION_COMPLETE,
        Ending.MAY_ERASE,
        MLR_2007,
        "regulation 19",
        "Records of an occasional transaction were kept for five years from its completion.",
    ),
    RetentionRule(
        "occasional_transactions",
        date(2017, 6, 26),
        5,
        Clock.TRANSACTION_COMPLETE,
        Ending.MUST_ERASE,
        MLR_2017,
        "regulation 40(3)(a) and (5)",
        "Records of a transaction outside a business relationship are kept for five years from its completion; then personal data "
        "is erased.",
    ),
    RetentionRule(
        "business_records",
        date(2007, 11, 1),
        5,
        Clock.RECORD_MADE,
        Ending.MAY_ERASE,
        "FCA Handbook, Senior Management Arrangements, Systems and Controls (SYSC)",
        "SYSC 9.1",
        "Orderly records of the business and its organisation are kept so that the regulator can see whether rules were kept: five years "
        "for MiFID business, which Leofric takes for all, and else as long as they serve their purpose.",
    ),
    RetentionRule(
        "audit_records",
        date(2003, 10, 31),
        7,
        Clock.AUDIT_CONCLUDED,
        Ending.MAY_ERASE,
        "Sarbanes-Oxley Act 2002, section 802",
        "17 CFR 210.2-06",
        "Records relevant to the audit of an SEC registrant's accounts are kept by its auditor for seven years after the audit was "
        "concluded; Leofric keeps its certificates as long, so that an auditor finds them.",
    ),
    RetentionRule(
        "no_longer_than_needed",
        date(2018, 5, 25),
        1,
        Clock.RECORD_MADE,
        Ending.MUST_ERASE,
        "UK GDPR (until 2020 Regulation (EU) 2016/679)",
        "Article 5(1)(e)",
        "Personal data is kept no longer than its purpose needs. The law names no number: one year is Leofric's own choice for what "
        "is only of use while a model is tried.",
    ),
)
NAMES = tuple(dict.fromkeys(rule.name for rule in RULES))


def in_force(name: str, day: date, rules: Iterable[RetentionRule] = RULES) -> RetentionRule:
    """The rule of this name as it is in force on a day; UsageError if there is none of that name, or none yet on that day."""
    named = [rule for rule in rules if rule.name == name]
    if not named:
        raise UsageError(f"there is no retention rule {name}; there are {', '.join(NAMES)}")
    begun = [rule for rule in named if rule.in_force_from <= day]
    if not begun:
        first = min(rule.in_force_from for rule in named)
        raise UsageError(f"the retention rule {name} is not in force on {day}; it is from {first} on")
    return max(begun, key=lambda rule: rule.in_force_from)


def newest(name: str) -> RetentionRule:
    """The rule of this name as it was last changed."""
    return in_force(name, date.max)
