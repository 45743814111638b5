import pytest

from app.validation import transaction_id
from tests.support.validation import names, text


@pytest.mark.parametrize("written", ["A1", "a b", "x" * 128, "é" * 64, "北京-7", "a\u00a0b", "a\u2028b", "😀", "0", "null", "a\u200db"])
def test_any_short_text_is_an_identifier(written: str) -> None:
    assert names(transaction_id.check(text(written))) == [None]


@pytest.mark.parametrize(
    "written",
    [
        " A1",
        "A1 ",
        " ",
        "A\tB",
        "A1\n",
        "\rA1",
        "A\x00B",
        "A\x7fB",
        "A\x85B",
        "A\x9fB",
        "\u00a0A",
        "A\u00a0",
        "\u1680A",
        "A\u2003",
        "A\u2028",
        "\u202fA",
        "A\u205f",
        "A\u3000",
        "x" * 129,
        "é" * 64 + "x",
    ],
)
def test_controls_blank_ends_and_length_are_refused(written: str) -> None:
    assert names(transaction_id.check(text(written))) == ["transaction_id_format"]


def test_none_is_missing() -> None:
    assert names(transaction_id.check(text("", None))) == ["transaction_id_missing"] * 2
