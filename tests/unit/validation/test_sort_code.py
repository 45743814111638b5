import pytest

from app.validation import sort_code
from tests.support.validation import names, strings, text


@pytest.mark.parametrize("written", ["123456", "12-34-56", "12 34 56"])
def test_three_forms_are_one_sort_code(written: str) -> None:
    canonical, codes = sort_code.check(text(written), "sort_code")
    assert strings(canonical) == ["123456"]
    assert names(codes) == [None]


@pytest.mark.parametrize(
    "written",
    [
        "12345",  # a lost leading zero
        "1234567",
        "12-3456",
        "12-34 56",
        "12--34-56",
        "12/34/56",
        "1-23-456",
        "-12-34-5",
        " 123456",
        "123456 ",
        "12345O",
        "123456.0",
        "1.2E+5",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "12\u00a034\u00a056",
    ],
)
def test_anything_else_is_no_sort_code(written: str) -> None:
    canonical, codes = sort_code.check(text(written), "sort_code")
    assert names(codes) == ["sort_code_format"]
    assert strings(canonical) == [""]


@pytest.mark.parametrize("written", ["000000", "00-00-00", "00 00 00"])
def test_zeros_are_a_placeholder(written: str) -> None:
    assert names(sort_code.check(text(written), "counterparty_sort_code")[1]) == ["counterparty_sort_code_placeholder"]


def test_leading_zeros_are_kept() -> None:
    assert strings(sort_code.check(text("01-00-00", "000001"), "sort_code")[0]) == ["010000", "000001"]


def test_none_is_missing_where_one_is_due_and_welcome_elsewhere() -> None:
    assert names(sort_code.check(text("", None), "sort_code")[1]) == ["sort_code_missing"] * 2
    assert names(sort_code.check(text("", None), "counterparty_sort_code")[1]) == [None, None]


def test_neighbours_of_a_bad_one_are_unharmed() -> None:
    canonical, codes = sort_code.check(text("11-11-11", "22-22-2X", "", "333333"), "sort_code")
    assert strings(canonical) == ["111111", "", "", "333333"]
    assert names(codes) == [None, "sort_code_format", "sort_code_missing", None]
