from datetime import date

import pytest

from app.reference.countries import countries
from app.reference.high_risk_countries import high_risk_countries


def on(day: date) -> set[str]:
    return {one.country for one in high_risk_countries() if one.on(day)}


def test_listings_are_of_countries_and_end_after_they_begin() -> None:
    for one in high_risk_countries():
        assert one.country in countries()
        assert one.list in {"call for action", "increased monitoring"}
        assert one.delisted is None or one.listed < one.delisted


@pytest.mark.parametrize(
    ("day", "listed", "not_listed"),
    [
        (date(2024, 1, 22), {"KP", "IR", "MM", "AE", "GI", "TR"}, {"KE", "MC", "KW"}),
        (date(2024, 2, 22), {"AE", "GI", "UG", "BB"}, {"KE", "NA"}),
        (date(2024, 2, 23), {"KE", "NA"}, {"AE", "GI", "UG", "BB"}),
        (date(2025, 10, 23), {"ZA", "NG", "MZ", "BF"}, {"KW", "PG"}),
        (date(2025, 10, 24), {"VN", "VG"}, {"ZA", "NG", "MZ", "BF"}),
    ],
)
def test_a_country_is_high_risk_from_the_day_of_the_statement(day: date, listed: set[str], not_listed: set[str]) -> None:
    assert listed <= on(day)
    assert not not_listed & on(day)


def test_the_lists_of_february_2026_have_three_and_twenty_two_countries() -> None:
    of = {name: {one.country for one in high_risk_countries() if one.on(date(2026, 2, 13)) and one.list == name} for name in
          ("call for action", "increased monitoring")}  # fmt: skip
    assert of["call for action"] == {"KP", "IR", "MM"}
    assert of["increased monitoring"] == {
        "DZ", "AO", "BO", "BG", "CM", "CI", "CD", "HT", "KE", "KW", "LA", "LB", "MC", "NA", "NP", "PG", "SS", "SY", "VE", "VN", "VG", "YE",
    }  # fmt: skip
