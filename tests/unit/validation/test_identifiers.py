"""Identifiers that other feeds have: BIC, LEI, merchant category code, UK postcode."""

import re
from string import ascii_uppercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reference.countries import countries
from app.reference.merchant_categories import merchant_categories
from app.validation import bic, lei, merchant_category, postcode
from tests.support.validation import names, strings, text

ALPHANUMERIC = digits + ascii_uppercase


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", None), ("NWBKGB2L", None), ("DEUTDEFF500", None), ("NWBKGB2LXXX", None), ("E097AEXX", None), ("PCBKXKPR", None),
        ("nwbkgb2l", "bic_format"), ("NWBKGB2l", "bic_format"), ("NWBK1B2L", "bic_format"), ("NWBK B2L", "bic_format"),
        ("NWBKGB2", "bic_length"), ("NWBKGB2L5", "bic_length"), ("NWBKGB2LXXXX", "bic_length"), ("NWBKUK2L", "bic_country"),
        ("NWBKGB20", "bic_test"), ("NWBKGB20XXX", "bic_test"), ("\uff2eWBKGB2L", "bic_format"),
    ],
)  # fmt: skip
def test_a_bic(value: str, reason: str | None) -> None:
    assert names(bic.check(text(value))) == [reason]


# Of GLEIF's own list: the identifiers of companies that everybody may look up.
LEIS = ("213800WAVVOPS85N2205", "5493001KJTIIGC8Y1R12", "HWUPKR0MPOU8FGXBT394", "7H6GLXDRUGQFU57RNE97", "529900T8BM49AURSDO55")


@pytest.mark.parametrize("value", LEIS)
def test_an_lei_that_is_in_use_is_taken_and_every_change_of_one_digit_or_letter_is_not(value: str) -> None:
    assert names(lei.check(text(value))) == [None]
    # A digit for a letter changes the length of the number behind it, too: that MOD 97-10 finds 96 times of 97.
    kinds = {character: digits if character in digits else ascii_uppercase for character in ALPHANUMERIC}
    changed = [value[:at] + other + value[at + 1 :] for at in range(20) for other in kinds[value[at]] if other != value[at]]
    assert None not in names(lei.check(text(*changed)))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", None), ("213800WAVVOPS85N220", "lei_length"), ("213800WAVVOPS85N22055", "lei_length"), ("213800wavvops85n2205", "lei_format"),
        ("213800WAVVOPS85N22X5", "lei_format"), ("213800 WAVVOPS85N205", "lei_format"), ("21380", "lei_length"),
        ("213800WAVVOPS85N2206", "lei_checksum"),
    ],
)  # fmt: skip
def test_what_is_no_lei(value: str, reason: str | None) -> None:
    assert names(lei.check(text(value))) == [reason]


@given(st.text(ALPHANUMERIC, min_size=18, max_size=18))
def test_the_check_digits_of_any_eighteen_characters_are_the_ones_that_are_taken(base: str) -> None:
    number = int("".join(str(int(character, 36)) for character in base + "00"))
    taken = [f"{n:02d}" for n in range(100) if names(lei.check(text(f"{base}{n:02d}"))) == [None]]
    assert taken == [f"{98 - number % 97:02d}"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", None),
        ("5411", None),
        ("0742", None),
        ("742", "mcc_format"),
        ("05411", "mcc_format"),
        ("54l1", "mcc_format"),
        ("0001", "mcc_unknown"),
    ],
)
def test_a_merchant_category_code(value: str, reason: str | None) -> None:
    assert names(merchant_category.check(text(value))) == [reason]


def test_every_listed_category_is_known_and_no_other() -> None:
    codes = [f"{number:04d}" for number in range(10_000)]
    known = {code for code, reason in zip(codes, names(merchant_category.check(text(*codes))), strict=True) if reason is None}
    assert known == set(merchant_categories())


# The rule as one expression, from the standard's own table of formats.
POSTCODE = re.compile(
    r"(?:[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9](?:[0-9]|[ABEHMNPRVWXY])?|[0-9][ABCDEFGHJKPSTUW]) ?[0-9][ABD-HJLNP-UW-Z]{2}"
    r"|GIR ?0AA|GX11 ?1AA|(?:ASCN|BBND|BIQQ|FIQQ|PCRN|SIQQ|STHL|TDCU|TKCA) ?1ZZ)",
    re.ASCII,
)


def agrees(*values: str) -> None:
    canonical, codes = postcode.check(text(*values))
    for value, written, reason in zip(values, strings(canonical), names(codes), strict=True):
        right = bool(POSTCODE.fullmatch(value))
        assert (reason is None) == (right or not value), value
        assert written == (f"{value[:-3].rstrip()} {value[-3:]}" if right else ""), value


@pytest.mark.parametrize(
    "value",
    [
        "CV1 5FB", "M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT", "W1A 0AX", "EC1A 1BB", "SW1A1AA", "GIR 0AA", "GIR0AA", "ASCN 1ZZ",
        "GX11 1AA", "", "CV1  5FB", "cv1 5fb", " CV1 5FB", "CV1 5FB ", "CV15 FB", "CV1 5F", "QV1 5FB", "CI1 5FB", "CV1 5CB",
        "CV1 5F8", "C1L 5FB", "EC1C 1BB", "1V1 5FB", "CVX 5FB", "ABCDEFG", "1234567", "A", "CV\u06611 5FB",
    ],
)  # fmt: skip
def test_a_postcode(value: str) -> None:
    agrees(value)


@given(st.lists(st.from_regex(POSTCODE, fullmatch=True) | st.text("ABCVWQIJ019 ", max_size=9), min_size=1))
def test_postcodes_agree_with_the_rule_as_one_expression(values: list[str]) -> None:
    agrees(*values)


def test_every_country_may_stand_in_a_bic() -> None:
    assert set(names(bic.check(text(*[f"ABCD{country}2L" for country in sorted(countries())])))) == {None}
