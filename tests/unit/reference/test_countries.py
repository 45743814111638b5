import pycountry

from app.reference.countries import countries


def test_the_countries_are_those_of_iso_3166_1_and_kosovo() -> None:
    assert countries() == {country.alpha_2 for country in pycountry.countries} | {"XK"}
