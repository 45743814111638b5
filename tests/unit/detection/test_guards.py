"""No guard holds back a payment that completes its scenario."""

from unittest.mock import ANY

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.columns import Mask
from app.detection.book import SECOND_US, Book, book
from app.detection.pack import OF_ACCOUNTS, Scenario, possible
from app.detection.sight import Sights
from app.detection.thresholds import in_force
from app.features import timeline
from app.features.payments import UNKNOWN, Int32s
from tests.support.payments import DAY, HOUR, Payment, silver
from tests.support.scenarios import LOWER, NEW_YEAR, TODAY, Value, payments_of, stream

WINDOWS = st.sampled_from([60, 300, 3_600, 7_200, 86_400, 86_401, 604_800, 30 * 86_400, 200 * 86_400])


def sights(opened: Book) -> tuple[list[str], Sights]:
    """The payments that stand for themselves, and their ids."""
    of, facts = opened.payments, timeline.look_back(opened.payments)
    rows = np.flatnonzero(of.stands_for == np.arange(len(of)))

    def own(party: Int32s) -> Mask:
        return np.array([number != UNKNOWN and bool(opened.own[number]) for number in party.tolist()], dtype=np.bool_)

    country, names = (column.take(pa.array(rows)).to_pylist() for column in (opened.country, opened.transaction_id))
    seen = Sights(
        of.booked_at[rows], of.amount[rows], opened.sterling[rows], country, own(of.payer[rows]), own(of.payee[rows]), facts[rows]
    )
    return names, seen


def held_back(opened: Book, scenario: Scenario, changes: dict[str, int]) -> tuple[int, list[str]]:
    """How many alerts fire, and those payments that fire one though the guard says that they cannot."""
    thresholds = in_force(scenario.name, TODAY, changes)
    fired = [alert.fired_by for alert in scenario.find(opened, thresholds)]
    assert scenario.possible is not None
    names, seen = sights(opened)
    passes = dict(zip(names, scenario.possible(seen, thresholds).tolist(), strict=True))
    return len(fired), [name for name in fired if not passes[name]]


@pytest.mark.parametrize("scenario", OF_ACCOUNTS, ids=lambda one: one.name)
@given(stream, WINDOWS, st.sampled_from(["GB", "IR"]))
def test_what_completes_a_scenario_passes_its_guard(scenario: Scenario, values: list[Value], window: int, country: str) -> None:
    rows = silver(payments_of(values))
    rows = rows.set_column(rows.column_names.index("country"), "country", pa.array([country] * rows.num_rows, pa.string()))
    changes = LOWER[scenario.name] | ({"window": window} if "window" in in_force(scenario.name, TODAY) else {})
    assert held_back(book(rows), scenario, changes) == (ANY, [])


@pytest.mark.parametrize("scenario", OF_ACCOUNTS, ids=lambda one: one.name)
def test_alerts_do_fire_with_such_payments(scenario: Scenario) -> None:
    begin = NEW_YEAR + 400 * DAY
    values = [
        Payment("01", NEW_YEAR, -100, "GBP", "A", "B"),
        *(Payment(f"1{i}", begin + i * SECOND_US, 950_000, "GBP", f"S{i}", "A") for i in range(5)),
        *(Payment(f"2{i}", begin + HOUR + i * SECOND_US, -950_000, "GBP", "A", f"P{i}") for i in range(5)),
        Payment("31", begin + HOUR * 2, -5_000_000, "GBP", "A", "Q"),
        Payment("32", begin + HOUR * 2, -5_000_000, "GBP", "A", "R"),
    ]
    rows = silver(values)
    rows = rows.set_column(rows.column_names.index("country"), "country", pa.array(["IR"] * rows.num_rows, pa.string()))
    fired, wrong = held_back(book(rows), scenario, LOWER[scenario.name])
    assert fired > 0
    assert not wrong


def test_an_ordinary_payment_completes_nothing() -> None:
    facts = timeline.nothing(1)
    facts[:, [timeline.PAYER_AGE, timeline.PAYEE_AGE]] = 90 * DAY
    yes = np.ones(1, dtype=np.bool_)
    assert possible(Sights(np.zeros(1, np.int64), np.array([1_234]), yes, ["GB"], yes, yes, facts), TODAY) == []
