from datetime import date

import numpy as np
import pytest

from app.reference.currencies import Status, currencies, exponents, readable_exponents
from app.validation import currency
from tests.support.validation import names, text


def days(*dates: date) -> currency.Days:
    return np.array([(day - date(1970, 1, 1)).days for day in dates], dtype=np.int32)


TODAY = days(date(2026, 11, 23))


@pytest.mark.parametrize(
    ("code", "day", "fault"),
    [
        ("HRK", date(2022, 12, 31), None), ("HRK", date(2023, 1, 31), None), ("HRK", date(2023, 2, 1), "currency_withdrawn"),
        ("BGN", date(2025, 12, 31), None), ("BGN", date(2026, 2, 1), "currency_withdrawn"), ("LTL", date(2014, 12, 31), None),
        ("LTL", date(2015, 1, 1), "currency_withdrawn"), ("DEM", date(1999, 1, 1), "currency_withdrawn"), ("GBP", date(1970, 1, 1), None),
    ],
)  # fmt: skip
def test_a_withdrawn_currency_may_stand_in_records_of_its_time_if_its_minor_unit_is_known(code: str, day: date, fault: str | None) -> None:
    assert names(currency.check(text(code), days(day))[1]) == [fault]


def test_the_currencies_in_force_are_readable() -> None:
    assert exponents().items() <= readable_exponents().items()


@pytest.mark.parametrize(("code", "exponent"), [("GBP", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("EUR", 2)])
def test_a_currency_in_force_has_its_exponent(code: str, exponent: int) -> None:
    found, codes = currency.check(text(code), TODAY)
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
    found, codes = currency.check(text(written), TODAY)
    assert (found.tolist(), names(codes)) == ([readable_exponents().get(written, -1)], [f"currency_{fault}"])


def test_every_code_of_the_list_is_judged_by_its_status() -> None:
    found, codes = currency.check(text(*(one.code for one in currencies())), np.repeat(TODAY, len(currencies())))
    objection = {Status.ACTIVE: None, Status.WITHDRAWN: "currency_withdrawn", Status.NOT_MONEY: "currency_not_money"}
    assert names(codes) == [objection[one.status] for one in currencies()]
    assert found.tolist() == [readable_exponents().get(one.code, -1) for one in currencies()]
