"""What the batch finds in the book of all payments, the online path finds in the book of those around the payments it is asked about."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection import pack
from app.detection.alert import Alert
from app.detection.book import book, opened
from app.detection.pack import OF_ACCOUNTS, Scenario
from app.detection.thresholds import in_force
from app.features.histories import Histories
from app.features.timeline import HORIZON_US
from tests.support.payments import DAY, Payment, arrivals, silver
from tests.support.scenarios import LOWER, NEW_YEAR, TODAY, Value, payments_of, stream


def both(scenario: Scenario, payments: Sequence[Payment], asked: set[str]) -> tuple[list[Alert], list[Alert]]:
    """The alerts fired by the payments that were asked about: of the book of all payments, and of the one around them."""
    changes = LOWER[scenario.name] | ({"window": DAY // 1_000_000} if "window" in in_force(scenario.name, TODAY) else {})
    thresholds = in_force(scenario.name, TODAY, changes)
    histories = Histories()
    rows = histories.take(arrivals(payments)).row
    chosen = np.array([row for row, payment in zip(rows.tolist(), payments, strict=True) if payment.transaction_id in asked], np.int64)
    of_all = [alert for alert in scenario.find(book(silver(payments)), thresholds) if alert.fired_by in asked]
    around = opened(histories.around(chosen, scenario.reach_us(thresholds)), {})
    return of_all, scenario.find(around, thresholds)


def ordered(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert.fired_at, alert.fired_by, alert.account))


@pytest.mark.parametrize("scenario", OF_ACCOUNTS, ids=lambda one: one.name)
@given(stream, st.data())
def test_the_book_around_payments_tells_of_them_what_the_book_of_all_does(
    scenario: Scenario, values: list[Value], data: st.DataObject
) -> None:
    if not scenario.windowed:
        values = [value for value in values if value[0] <= HORIZON_US // 2]  # all that the histories' horizon holds
    payments = payments_of(values)
    asked = data.draw(st.sets(st.sampled_from([payment.transaction_id for payment in payments] or [""])))
    of_all, around = both(scenario, payments, asked)
    assert ordered(around) == ordered(of_all)


@pytest.mark.parametrize("scenario", [one for one in OF_ACCOUNTS if one.windowed], ids=lambda one: one.name)
def test_windowed_scenarios_do_fire_in_such_books(scenario: Scenario) -> None:
    begin = NEW_YEAR + 400 * DAY
    payments = [
        *(Payment(f"1{i}", begin + i, 950_000, "GBP", f"S{i}", "A") for i in range(5)),
        *(Payment(f"2{i}", begin + 100 + i, -950_000, "GBP", "A", f"P{i}") for i in range(5)),
    ]
    of_all, around = both(scenario, payments, {payment.transaction_id for payment in payments})
    assert ordered(around) == ordered(of_all) != []


def test_every_scenario_of_accounts_says_how_far_it_reaches() -> None:
    reaches = {one.name: one.reach_us(in_force(one.name, TODAY)) for one in pack.OF_ACCOUNTS}
    assert reaches["pass_through"] == 2 * DAY
    assert reaches["new_payee"] == HORIZON_US
