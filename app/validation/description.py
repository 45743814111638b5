"""The free text of a payment: kept byte for byte, with a warning where it may not look like what it says."""

import numpy as np

from app.columns import Text
from app.contracts.reasons import Codes, fault_numbers
from app.validation import characters

_UNWELCOME = characters.CONTROL | characters.BIDIRECTIONAL


def check(text: Text) -> Codes:
    """The reasons' numbers, warnings all. Tab, line feed and carriage return are welcome.

    The Unicode Standard 16.0, section 23.1 (control codes); UAX #9, Unicode Bidirectional Algorithm (Bidi_Control), whose
    characters can make one account look like another on a screen (Unicode Technical Standard #39, section 5).
    """
    unwelcome = (characters.kinds(text) & _UNWELCOME) != 0
    codes: Codes = fault_numbers("description", "control")[unwelcome.astype(np.uint8)]
    return codes
