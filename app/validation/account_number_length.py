"""Account numbers of six to ten digits as the eight that the modulus check takes.

For feeds that have them; the landing contract takes eight digits only, since what a shorter number has lost is not known there.
"""

import pyarrow as pa
import pyarrow.compute as pc

from app.columns import Text, from_arrow, to_arrow
from app.reference.account_number_lengths import LengthRule, length_rules


def standard(sort_code: Text, account_number: Text) -> tuple[Text, Text]:
    """Sort code and account number of each row as the modulus check takes them, unchanged where no rule is for them.

    Pay.UK, "Validating account numbers", section 2 (``reference.account_number_lengths``). Sort codes are six digits each or empty. The
    bank decides what nine or ten digits mean; where it is none of those that are listed, the number stays as long as it is, and so is
    not checked.
    """
    codes, numbers = (_texts(text) for text in (sort_code, account_number))
    plain = pc.match_substring_regex(numbers, r"^[0-9]{6,10}$")
    for rule in length_rules():
        wanted = pc.and_(plain, pc.equal(pc.binary_length(numbers), rule.digits))
        at_bank = pc.and_(pc.greater_equal(codes, rule.first), pc.less_equal(codes, rule.last))
        chosen = pc.and_(wanted, at_bank)
        if pc.any(chosen).as_py():
            codes, numbers = (
                pc.if_else(chosen, changed, old) for changed, old in zip(_changed(rule, codes, numbers), (codes, numbers), strict=True)
            )
            plain = pc.and_(plain, pc.invert(chosen))
    return from_arrow(codes), from_arrow(numbers)


def _texts(text: Text) -> pa.StringArray:
    return to_arrow(text) if len(text) else pa.array([], pa.string())


def _changed(rule: LengthRule, codes: pa.StringArray, numbers: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    match rule.rule:
        case "zeros":
            return codes, pc.utf8_lpad(numbers, 8, "0")
        case "first_eight":
            return codes, pc.utf8_slice_codeunits(numbers, 0, 8)
        case "last_eight":
            return codes, pc.utf8_slice_codeunits(numbers, -8)
        case "sort_code_digit":
            first = pc.utf8_slice_codeunits(numbers, 0, 1)
            return pc.binary_join_element_wise(pc.utf8_slice_codeunits(codes, 0, 5), first, ""), pc.utf8_slice_codeunits(numbers, -8)
    raise ValueError(rule.rule)
