import pytest

from app.validation import account_number
from tests.support.validation import names, text


@pytest.mark.parametrize("written", ["12345678", "00000190", "99999999", "00000001"])
def test_eight_digits_are_an_account_number(written: str) -> None:
    assert names(account_number.check(text(written), "account_number")) == [None]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("1234567", "length"),
        ("123456789", "length"),
        ("0", "length"),
        ("00000000000", "length"),
        ("1234567X", "format"),
        ("1234 5678", "format"),
        (" 12345678", "format"),
        ("12345678\n", "format"),
        ("12345678.0", "format"),
        ("1.2E+07", "format"),
        ("-1234567", "format"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "format"),
        ("1234567²", "format"),
        ("00000000", "placeholder"),
    ],
)
@pytest.mark.parametrize("field", ["account_number", "counterparty_account"])
def test_anything_else_is_refused_and_never_repaired(written: str, fault: str, field: str) -> None:
    assert names(account_number.check(text(written), field)) == [f"{field}_{fault}"]


def test_none_is_missing_where_one_is_due_and_welcome_elsewhere() -> None:
    assert names(account_number.check(text("", None), "account_number")) == ["account_number_missing"] * 2
    assert names(account_number.check(text("", None), "counterparty_account")) == [None, None]
