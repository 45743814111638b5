import numpy as np
import pytest

from app.validation import amount
from tests.support.validation import names, text


def read(written: str | None, exponent: int = 2) -> tuple[int, str | None]:
    minor, codes = amount.check(text(written), np.array([exponent], dtype=np.int8))
    return int(minor[0]), names(codes)[0]


@pytest.mark.parametrize(
    ("written", "exponent", "minor"),
    [
        ("1", 2, 100),
        ("1.5", 2, 150),
        ("-1.50", 2, -150),
        ("+1.50", 2, 150),
        ("0", 2, 0),
        ("-0.00", 2, 0),
        ("0.01", 2, 1),
        ("-0.01", 2, -1),
        ("000000000000000000012.30", 2, 1230),
        ("1500", 0, 1500),
        ("1.234", 3, 1234),
        ("1", 3, 1000),
        ("9999999999999.99", 2, 999_999_999_999_999),
        ("-9999999999999.99", 2, -999_999_999_999_999),
        ("999999999999999", 0, 999_999_999_999_999),
    ],
)
def test_a_plain_decimal_is_read_exactly(written: str, exponent: int, minor: int) -> None:
    assert read(written, exponent) == (minor, None)


@pytest.mark.parametrize(
    "written",
    [
        "abc",
        "1,234.56",
        "1 234",
        " 1",
        "1 ",
        "1E5",
        "1e-2",
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        ".5",
        "5.",
        ".",
        "-",
        "+",
        "--1",
        "+-1",
        "1-",
        "1.2.3",
        "1..2",
        "-.5",
        "£1",
        "1.00GBP",
        "(1.00)",
        "0x10",
        "1_000",
        "\uff11.\uff10\uff10",
        "\u0661",
        "1,5",
        "\u22121.00",
        "1.0\n",
        "1.\u0660",
    ],
)
def test_anything_but_a_plain_decimal_is_refused(written: str) -> None:
    assert read(written) == (0, "amount_format")


@pytest.mark.parametrize(("written", "exponent"), [("1.234", 2), ("1.000", 2), ("1.5", 0), ("1.0", 0), ("1.2345", 3), ("0.001", 2)])
def test_more_decimals_than_the_currency_has_are_refused_even_if_they_are_zeros(written: str, exponent: int) -> None:
    assert read(written, exponent) == (0, "amount_precision")


@pytest.mark.parametrize(
    ("written", "exponent"),
    [
        ("10000000000000.00", 2),
        ("10000000000000", 2),
        ("1000000000000000", 0),
        ("1000000000000", 3),
        ("9999999999999999", 3),  # times 1000 it would not fit an int64
        ("-99999999999999999999999999999999999999999", 2),
        ("9" * 400 + ".99", 2),
    ],
)
def test_more_than_fifteen_digits_are_out_of_range(written: str, exponent: int) -> None:
    assert read(written, exponent) == (0, "amount_range")


def test_none_is_missing() -> None:
    assert read("") == (0, "amount_missing")
    assert read(None) == (0, "amount_missing")


@pytest.mark.parametrize(
    ("written", "fault"),
    [("1.23456789", None), ("1.", "amount_format"), ("9" * 15, None), ("9" * 15 + "." + "9" * 9, None), ("9" * 16, "amount_range")],
)
def test_decimals_are_not_judged_and_nothing_is_read_when_the_currency_is_not_known(written: str, fault: str | None) -> None:
    assert read(written, -1) == (0, fault)
