import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from app.validation import account_number, description, sort_code, transaction_id
from tests.support.validation import names, text

# Property White_Space of the Unicode Standard, but for the control characters, which are refused anyway.
WHITE_SPACE = {" ", "\u00a0", "\u1680", *map(chr, range(0x2000, 0x200B)), "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}
BIDI_CONTROL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Mostly characters near those that matter.
CHARACTERS = st.one_of(
    st.integers(0x20, 0x7E),
    st.integers(0, 0xA1),
    st.integers(0x600, 0x640),
    st.integers(0x1FF0, 0x2070),
    st.sampled_from([0x1680, 0x3000, 0x1F600]),
).map(chr)
TEXTS = st.text(alphabet=CHARACTERS, max_size=12) | st.text(max_size=70)


@given(TEXTS)
@example("é" * 64)
@example("é" * 64 + "x")
def test_an_identifier_has_no_control_characters_no_blank_ends_and_128_bytes(written: str) -> None:
    wrong = any(unicodedata.category(character) == "Cc" for character in written) or len(written.encode()) > 128
    wrong |= bool(written) and bool({written[0], written[-1]} & WHITE_SPACE)
    expected = "transaction_id_missing" if not written else "transaction_id_format" if wrong else None
    assert names(transaction_id.check(text(written))) == [expected]


@given(TEXTS)
def test_a_description_has_a_warning_for_control_and_bidirectional_characters(written: str) -> None:
    odd = any(c in BIDI_CONTROL or (unicodedata.category(c) == "Cc" and c not in "\t\r\n") for c in written)
    assert names(description.check(text(written))) == ["description_control" if odd else None]


@given(st.text(alphabet="0123456789- ", max_size=9) | st.from_regex(r"[0-9]{2}[- ]?[0-9]{2}[- ]?[0-9]{2}", fullmatch=True))
def test_a_sort_code_is_three_pairs_of_digits_written_in_one_way(written: str) -> None:
    match = re.fullmatch(r"([0-9]{2})([- ]?)([0-9]{2})\2([0-9]{2})", written, re.ASCII)
    fault = "format"
    if match:
        fault = "placeholder" if set(written) <= set("0- ") else ""
    expected = "sort_code_missing" if not written else f"sort_code_{fault}" if fault else None
    assert names(sort_code.check(text(written), "sort_code")[1]) == [expected]


@given(st.text(alphabet="0123456789", max_size=10) | st.text(max_size=9))
def test_an_account_number_is_eight_digits(written: str) -> None:
    digits = re.fullmatch("[0-9]+", written, re.ASCII)
    fault = "format" if not digits else "length" if len(written) != 8 else "placeholder" if int(written) == 0 else None
    expected = "account_number_missing" if not written else f"account_number_{fault}" if fault else None
    assert names(account_number.check(text(written), "account_number")) == [expected]
