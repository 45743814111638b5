import pycountry

from app.reference.currencies import Status, currencies, exponents


def test_the_codes_in_force_are_those_of_pycountry() -> None:
    in_force = {one.code for one in currencies() if one.status is not Status.WITHDRAWN}
    assert in_force == {currency.alpha_3 for currency in pycountry.currencies}


def test_each_code_stands_once_and_in_order() -> None:
    codes = [one.code for one in currencies()]
    assert codes == sorted(set(codes))


def test_active_currencies_have_an_exponent_and_withdrawn_ones_a_date() -> None:
    for one in currencies():
        assert (one.exponent is not None) or one.status is not Status.ACTIVE
        assert (one.withdrawn is not None) == (one.status is Status.WITHDRAWN)


def test_exponents_are_those_of_active_currencies_only() -> None:
    assert exponents()["GBP"] == 2
    assert exponents()["JPY"] == 0
    assert exponents()["KWD"] == 3
    assert not {"DEM", "XXX", "CLF", "XAU"} & set(exponents())
    assert set(exponents().values()) == {0, 2, 3}
