import pytest

from app.validation import description
from tests.support.validation import names, text


@pytest.mark.parametrize(
    "written", ["", "RENT", " blank ends ", "a\tb\r\nc", "1E5", "NA", "Café £4 — 北京 😀", "=cmd()", "שלום", "a\u200db", "\u2009"]
)
def test_text_is_welcome(written: str) -> None:
    assert names(description.check(text(written))) == [None]


@pytest.mark.parametrize(
    "written",
    [
        "a\x01b",
        "a\x0bb",
        "\x1b[31m",
        "a\x7f",
        "a\x85b",
        "a\u061cb",
        "a\u200eb",
        "a\u200f",
        "a\u202eb",
        "\u202ab",
        "a\u2066b",
        "a\u2069",
        "北\u2067",
    ],
)
def test_control_and_bidirectional_characters_bring_a_warning(written: str) -> None:
    assert names(description.check(text(written))) == ["description_control"]
