import pytest

from app.reference import modulus as reference
from app.reference.modulus import Case
from tests.support.validation import modulus_results as check


@pytest.mark.parametrize("case", reference.published_cases(), ids=lambda case: f"{case.sort_code}-{case.account_number}")
def test_the_published_cases_come_out_right_with_the_table_that_ships(case: Case) -> None:
    (result,) = check([case.sort_code], [case.account_number], reference.synthetic())
    expected = "not_checked" if "foreign currency" in case.what else "valid" if case.passes else "invalid"
    assert result == expected


def test_a_sort_code_that_is_not_listed_is_not_checked() -> None:
    assert check(["000001"], ["12345678"], reference.synthetic()) == ["not_checked"]


def test_without_a_table_nothing_is_checked() -> None:
    assert check(["089999", ""], ["66374958", ""], None) == ["not_checked", "not_checked"]


@pytest.mark.parametrize(
    ("sort_code", "account"),
    [
        ("", "66374958"), ("089999", ""), ("08999", "66374958"), ("089999", "6637495"), ("08999A", "66374958"), ("089999", "6637495X"),
        ("089999", "\uff16\uff16374958"), ("089999", "\u0661\u0662\u0663\u0664"),
    ],
)  # fmt: skip
def test_what_is_not_six_and_eight_digits_is_not_checked(sort_code: str, account: str) -> None:
    assert check([sort_code], [account], reference.synthetic()) == ["not_checked"]


def test_every_digit_of_a_valid_account_counts() -> None:
    """With weights that have no common divisor with 11 (MOD11), changing any one digit makes a valid account invalid."""
    weights = " ".join(str(weight) for weight in (7, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 1))
    table = reference.parse(f"990000 999999 MOD11 {weights}\n".encode(), b"", "v")
    codes, accounts = [f"99{n:04d}" for n in range(0, 10_000, 7)], [f"{n * 6_997 % 10**8:08d}" for n in range(0, 10_000, 7)]
    valid = [
        pair for pair, result in zip(zip(codes, accounts, strict=True), check(codes, accounts, table), strict=True) if result == "valid"
    ]
    assert len(valid) > 50
    changed = [
        (code, account[:place] + str((int(account[place]) + step) % 10) + account[place + 1 :])
        for code, account in valid for place in range(8) for step in range(1, 10)
    ]  # fmt: skip
    assert set(check([code for code, _ in changed], [account for _, account in changed], table)) == {"invalid"}
