"""What accounts look like outside the landing contract: roll numbers, and numbers that do not have eight digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reference.modulus import synthetic
from app.reference.roll_numbers import roll_number_forms
from app.validation import modulus, roll_number
from app.validation.account_number_length import standard
from tests.support.validation import names, strings, text


@pytest.mark.parametrize(
    ("roll", "sort_code", "account", "reason"),
    [
        ("", "089048", "70715024", None), ("123456789", "089048", "70715024", None), ("123456", "089048", "70715024", None),
        ("12345", "089048", "70715024", "roll_number_society"), ("12345678X", "089048", "70715024", "roll_number_society"),
        ("123456789X", "601621", "77173163", None), ("1234567890", "601621", "77173163", None),
        ("123456789X", "402715", "12440040", None), ("123456789", "402715", "12440040", "roll_number_society"),
        ("123456789Y", "601621", "77173163", "roll_number_society"), ("12345", "089048", "70715025", None), ("12345", "", "", None),
        ("CXJ-K6 897/98X", "123456", "12345678", None), ("A.1", "", "", None), ("cxj", "", "", "roll_number_format"),
        ("A" * 18, "", "", None), ("A" * 19, "", "", "roll_number_format"), ("A_1", "", "", "roll_number_format"),
        ("12,5", "", "", "roll_number_format"), ("\u0661", "", "", "roll_number_format"),
    ],
)  # fmt: skip
def test_a_roll_number_is_held_to_the_general_form_and_to_its_societys(roll: str, sort_code: str, account: str, reason: str | None) -> None:
    assert names(roll_number.check(text(roll), text(sort_code), text(account))) == [reason]


def test_every_form_has_a_source_and_a_pattern_that_the_general_form_allows() -> None:
    for form in roll_number_forms():
        assert form.source
        example = form.pattern.replace("n", "7").replace("a", "K").replace("e", "K")
        assert names(roll_number.check(text(example), text(form.sort_code), text(form.account_number))) == [None]


@pytest.mark.parametrize(
    ("sort_code", "account", "expected"),
    [
        ("123456", "123456", ("123456", "00123456")), ("123456", "1234567", ("123456", "01234567")),
        ("123456", "12345678", ("123456", "12345678")), ("720001", "912345678", ("720009", "12345678")),
        ("892999", "012345678", ("892990", "12345678")), ("408033", "912345678", ("408033", "912345678")),
        ("601613", "1234567890", ("601613", "34567890")), ("089999", "6637495812", ("089999", "66374958")),
        ("200000", "1234567890", ("200000", "1234567890")), ("720001", "91234567X", ("720001", "91234567X")),
        ("", "123456", ("", "123456")), ("123456", "", ("123456", "")), ("123456", "12345", ("123456", "12345")),
    ],
)  # fmt: skip
def test_a_number_of_another_length_becomes_eight_digits_at_the_banks_that_have_a_rule(
    sort_code: str, account: str, expected: tuple[str, str]
) -> None:
    codes, numbers = standard(text(sort_code), text(account))
    assert (strings(codes), strings(numbers)) == ([expected[0]], [expected[1]])


def test_a_ten_digit_number_is_checked_by_the_eight_that_count() -> None:
    codes, numbers = standard(text("089999", "200000"), text("6637495812", "6637495812"))
    assert modulus.check(codes, numbers, synthetic()).tolist() == [modulus.VALID, modulus.NOT_CHECKED]


@given(st.lists(st.tuples(st.from_regex(r"[0-9]{6}", fullmatch=True), st.from_regex(r"[0-9]{0,11}", fullmatch=True)), max_size=20))
def test_a_row_does_not_depend_on_its_neighbours(rows: list[tuple[str, str]]) -> None:
    codes, numbers = standard(text(*[code for code, _ in rows]), text(*[number for _, number in rows]))
    alone = [standard(text(code), text(number)) for code, number in rows]
    assert strings(codes) == [strings(one)[0] for one, _ in alone]
    assert strings(numbers) == [strings(one)[0] for _, one in alone]
    assert all(len(number) == 8 for (_, given_), number in zip(rows, strings(numbers), strict=True) if len(given_) in {6, 7, 8})
