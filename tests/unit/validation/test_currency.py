import pytest

from app.reference.currencies import Status, currencies, exponents
from app.validation import currency
from tests.support.validation import names, text


@pytest.mark.parametrize(("code", "exponent"), [("GBP", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("EUR", 2)])
def test_a_currency_in_force_has_its_exponent(code: str, exponent: int) -> None:
    found, codes = currency.check(text(code))
    assert (found.tolist(), names(codes)) == ([exponent], [None])


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "missing"),
        ("gbp", "format"),
        ("Gbp", "format"),
        ("GB", "format"),
        ("GBPS", "format"),
        ("GB1", "format"),
        (" GBP", "format"),
        ("£", "format"),
        ("826", "format"),
        ("\uff27\uff22\uff30", "format"),
        ("GBX", "unknown"),
        ("NAN", "unknown"),
        ("DEM", "withdrawn"),
        ("HRK", "withdrawn"),
        ("BGN", "withdrawn"),
        ("ZWL", "withdrawn"),
        ("XXX", "not_money"),
        ("XTS", "not_money"),
        ("XAU", "not_money"),
        ("XDR", "not_money"),
        ("CLF", "not_money"),
        ("USN", "not_money"),
    ],
)
def test_anything_else_is_refused_by_its_own_code(written: str, fault: str) -> None:
    found, codes = currency.check(text(written))
    assert (found.tolist(), names(codes)) == ([-1], [f"currency_{fault}"])


def test_every_code_of_the_list_is_judged_by_its_status() -> None:
    found, codes = currency.check(text(*(one.code for one in currencies())))
    objection = {Status.ACTIVE: None, Status.WITHDRAWN: "currency_withdrawn", Status.NOT_MONEY: "currency_not_money"}
    assert names(codes) == [objection[one.status] for one in currencies()]
    assert found.tolist() == [exponents().get(one.code, -1) for one in currencies()]
