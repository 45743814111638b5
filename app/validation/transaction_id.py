"""The feed's identifier of a transaction: any short text that people can copy without losing a character."""

import numpy as np

from app.columns import Text
from app.contracts.reasons import Codes, fault_numbers
from app.validation import characters

_MISSING = 1
_FORMAT = 2
_LENGTH_MAX = 128  # bytes
_UNWELCOME = characters.LINE | characters.CONTROL | characters.BLANK_FIRST | characters.BLANK_LAST


def check(text: Text) -> Codes:
    """The reasons' numbers; the text itself is the canonical form, case-sensitive.

    Landing contract v1, transaction_id: 1 to 128 bytes of UTF-8, no control character, no white space at either end.
    """
    lengths = np.diff(text.offsets)
    wrong = ((characters.kinds(text) & _UNWELCOME) != 0) | (lengths > _LENGTH_MAX)
    faults = fault_numbers("transaction_id", "missing", "format")
    codes: Codes = faults[np.where(wrong, _FORMAT, np.where(lengths == 0, _MISSING, 0))]
    return codes
