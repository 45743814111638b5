import re
from decimal import Decimal

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from app.validation import amount
from tests.support.validation import names, text

EXPONENTS = st.sampled_from([0, 2, 3])
PLAIN = st.from_regex(r"[+-]?[0-9]{1,18}(\.[0-9]{1,4})?", fullmatch=True)
NEARLY_PLAIN = st.text(alphabet="0123456789.+-eE ,_\u0661\uff11", max_size=12)


def expected(written: str, exponent: int) -> tuple[int, str | None]:
    """What exact decimal arithmetic says of the amount."""
    if not written:
        return 0, "amount_missing"
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", written, re.ASCII):
        return 0, "amount_format"
    if len(written.partition(".")[2]) > exponent:
        return 0, "amount_precision"
    minor = int(Decimal(written).scaleb(exponent))
    return (minor, None) if abs(minor) < 10**15 else (0, "amount_range")


@given(st.lists(st.tuples(PLAIN | NEARLY_PLAIN | st.text(max_size=5), EXPONENTS), max_size=20))
@example([("-0", 2), ("9" * 16, 3), ("0" * 50 + "1", 0)])
def test_amounts_agree_with_exact_decimals(rows: list[tuple[str, int]]) -> None:
    minor, codes = amount.check(text(*(written for written, _ in rows)), np.array([exponent for _, exponent in rows], dtype=np.int8))
    assert list(zip(minor.tolist(), names(codes), strict=True)) == [expected(*row) for row in rows]


@given(st.integers(-(10**15) + 1, 10**15 - 1), EXPONENTS)
def test_every_amount_in_range_survives_being_written_and_read(minor: int, exponent: int) -> None:
    written = f"{Decimal(minor).scaleb(-exponent):f}"
    read, codes = amount.check(text(written), np.array([exponent], dtype=np.int8))
    assert (read.tolist(), names(codes)) == ([minor], [None])
