import pytest

from app.reference.countries import countries
from app.validation import country
from tests.support.validation import names, text


@pytest.mark.parametrize("written", ["GB", "NA", "XK", "NO"])
def test_a_country_is_taken_whatever_else_its_letters_say(written: str) -> None:
    assert names(country.check(text(written))) == [None]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "missing"),
        ("gb", "format"),
        ("GBR", "format"),
        ("G", "format"),
        ("G1", "format"),
        ("GB ", "format"),
        ("é", "format"),  # two bytes, but not two letters
        ("UK", "unknown"),
        ("EU", "unknown"),
        ("AN", "unknown"),
        ("ZZ", "unknown"),
    ],
)
def test_anything_else_is_refused(written: str, fault: str) -> None:
    assert names(country.check(text(written))) == [f"country_{fault}"]


def test_of_all_pairs_of_letters_the_countries_and_no_others_are_taken() -> None:
    capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = [a + b for a in capitals for b in capitals]
    codes = names(country.check(text(*pairs)))
    assert {pair for pair, code in zip(pairs, codes, strict=True) if code is None} == countries()
