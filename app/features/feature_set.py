"""The features of a payment: named once, in the order in which models take them.

A model carries VERSION and refuses another. Change what a number means, or the order, and VERSION must change with it:
a test holds the definitions to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.errors import UsageError
from app.lineage.graph import How, Parts

VERSION: Final = 1


@dataclass(frozen=True)
class Feature:
    """One number of a payment."""

    name: str
    meaning: str
    unit: str
    window: str  # how far it looks back; empty if it looks at the payment alone


_ALL = "180 d"
_LOG_COUNT, _LOG_SUM, _LOG_HOURS = "ln(1 + payments)", "ln(1 + minor units)", "ln(1 + hours)"

FEATURES: Final = (
    Feature("log_amount", "the payment's amount", _LOG_SUM, ""),
    Feature("hour_sin", "the time of day, UTC: sine of its angle on a clock of 24 hours", "", ""),
    Feature("hour_cos", "the time of day, UTC: cosine of that angle", "", ""),
    Feature("payer_out_1h", "payments that left the payer", _LOG_COUNT, "1 h"),
    Feature("payer_out_24h", "payments that left the payer", _LOG_COUNT, "24 h"),
    Feature("payer_out_30d", "payments that left the payer", _LOG_COUNT, "30 d"),
    Feature("payer_out_sum_24h", "what left the payer", _LOG_SUM, "24 h"),
    Feature("payer_out_sum_30d", "what left the payer", _LOG_SUM, "30 d"),
    Feature("payer_payees_7d", "different accounts that the payer paid", "ln(1 + accounts)", "7 d"),
    Feature("payer_since_out", "time since the payer last paid; the window's length if not within it", _LOG_HOURS, _ALL),
    Feature("payer_age", "time since the payer's first payment, either way; 0 if this is the first", _LOG_HOURS, _ALL),
    Feature("payer_burst", "payments that left the payer in 24 h, plus 1, over its daily mean of 7 d, plus 1", "ratio", "7 d"),
    Feature("payee_in_24h", "payments that reached the payee", _LOG_COUNT, "24 h"),
    Feature("payee_in_7d", "payments that reached the payee", _LOG_COUNT, "7 d"),
    Feature("payee_in_sum_7d", "what reached the payee", _LOG_SUM, "7 d"),
    Feature("payee_payers_7d", "different accounts that paid the payee", "ln(1 + accounts)", "7 d"),
    Feature("payee_age", "time since the payee's first payment, either way; 0 if this is the first", _LOG_HOURS, _ALL),
    Feature("payee_burst", "payments that reached the payee in 24 h, plus 1, over its daily mean of 30 d, plus 1", "ratio", "30 d"),
    Feature(
        "payer_pass_through", "what left the payer, with this payment, over what came to it; at most 10, 0 if nothing came", "ratio", "24 h"
    ),
    Feature("payer_since_in", "time since the payer was last paid; the window's length if not within it", _LOG_HOURS, _ALL),
    Feature("payer_payers_7d", "different accounts that paid the payer", "ln(1 + accounts)", "7 d"),
    Feature("new_counterparty", "1 if the payer has not paid this payee before, else 0", "", _ALL),
    Feature("payer_amount_z", "how far the amount's logarithm is from those that left the payer before", "deviations", _ALL),
    Feature("payee_amount_z", "how far the amount's logarithm is from those that reached the payee before", "deviations", _ALL),
)


def require(trained: int, given: int = VERSION) -> None:
    """UsageError if a model was trained on another version than the one that it is given."""
    if given != trained:
        raise UsageError(f"the model was trained on feature set {trained}, and these are of {given}; train it anew")


NAMES: Final = tuple(feature.name for feature in FEATURES)
COUNT: Final = len(FEATURES)

_AMOUNT, _TIME, _ID, _EDGE = ("amount_minor",), ("booked_at",), "transaction_id", ("amount_minor", "currency", "payer", "payee")
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("payer_out_sum_24h", "payer_out_sum_30d", "payee_in_sum_7d", "payer_pass_through"), _AMOUNT),
    **dict.fromkeys(("payer_amount_z", "payee_amount_z"), _AMOUNT),
    **dict.fromkeys(("payer_since_out", "payer_since_in", "payer_age", "payee_age"), _TIME),
    **dict.fromkeys(("payer_payees_7d", "new_counterparty"), ("payee",)),
    **dict.fromkeys(("payee_payers_7d", "payer_payers_7d"), ("payer",)),
}


def _behaviour(name: str) -> Parts:
    """The past is the parties' payments in the currency, in order, and of an on-us transfer one leg: that takes all of an edge."""
    values = _VALUES.get(name, ())
    return {
        How.AGGREGATION: values,
        How.GROUP_BY: tuple(column for column in _EDGE if column not in values),
        How.WINDOW: tuple(column for column in (*_TIME, _ID) if column not in values),
    }


MADE_OF: Final[Mapping[str, Parts]] = {name: _behaviour(name) for name in NAMES} | {
    "log_amount": {How.TRANSFORMATION: _AMOUNT},
    # A second leg has the time of the first, which its parties, amount and currency find; of two at one instant, their ids.
    "hour_sin": {How.TRANSFORMATION: _TIME, How.JOIN: (*_EDGE, _ID)},
    "hour_cos": {How.TRANSFORMATION: _TIME, How.JOIN: (*_EDGE, _ID)},
}
"""What each feature is made of, in columns of silver; ``tests/property/test_lineage.py`` holds it to what the numbers do."""
