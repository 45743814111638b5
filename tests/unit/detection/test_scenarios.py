from dataclasses import replace
from datetime import date
from itertools import combinations, pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection import cycle, dormant, fan, high_risk_country, new_payee, pass_through, round_amounts, structuring, velocity
from app.detection.alert import Alert
from app.detection.book import SECOND_US, book
from app.detection.pack import SCENARIOS, find_all
from app.detection.thresholds import in_force, thresholds
from app.errors import UsageError
from tests.support.payments import DAY, HOUR, Payment, silver

TODAY = date(2026, 11, 24)


def paid(count: int, *, every: int, pence: int = 100, payer: str | None = "A", payees: int = 1, currency: str = "GBP") -> list[Payment]:
    return [Payment(f"{i:03d}", i * every, -pence, currency, payer, f"B{i % payees}") for i in range(count)]


def velocities(stream: list[Payment]) -> list[Alert]:
    return velocity.find(book(silver(stream)), in_force("velocity", TODAY))


@pytest.mark.parametrize(
    ("count", "every", "pence", "reasons"),
    [
        (10, SECOND_US, 100, []), (11, SECOND_US, 100, ["velocity_count"]),
        (11, 30 * SECOND_US, 100, ["velocity_count"]), (11, 30 * SECOND_US + 1, 100, []),
        (2, SECOND_US, 2_500_000, []), (2, SECOND_US, 2_500_001, ["velocity_sum"]), (1, 1, 5_000_001, ["velocity_sum"]),
    ],
)  # fmt: skip
def test_velocity_is_more_than_ten_payments_or_fifty_thousand_pounds_in_five_minutes(
    count: int, every: int, pence: int, reasons: list[str]
) -> None:
    assert [alert.reason for alert in velocities(paid(count, every=every, pence=pence))] == reasons


def test_velocity_fires_once_a_burst_and_again_at_the_next() -> None:
    burst = paid(20, every=SECOND_US)
    later = [Payment(f"L{p.transaction_id}", p.booked_at + DAY, p.amount_minor, "GBP", "A", "B") for p in burst]
    first, second = velocities(burst + later)
    assert (first.fired_by, second.fired_by) == ("010", "L010")
    assert first.evidence == tuple(f"{i:03d}" for i in range(11))
    assert first.account == "A"
    assert first.sentence == (
        "11 payments and £11.00 left the account within 300 seconds, from 1970-01-01 00:00:00 UTC to 1970-01-01 00:00:10 UTC."
    )


def test_a_sum_in_another_currency_is_no_sum_in_pounds() -> None:
    assert velocities(paid(1, every=1, pence=9_000_000, currency="JPY")) == []
    (alert,) = velocities(paid(11, every=1, pence=9_000_000, currency="JPY"))
    assert "£" not in alert.sentence


def test_an_account_at_another_bank_is_not_ours_to_watch() -> None:
    salaries = [Payment(f"{i:03d}", i, 200_000, "GBP", "employer elsewhere", f"B{i}") for i in range(30)]
    assert velocities(salaries) == []


def test_payments_of_unknown_payers_are_nobodys_velocity() -> None:
    assert velocities(paid(30, every=1, payer=None)) == []


@pytest.mark.parametrize(
    ("pence", "every", "count", "alerts"),
    [
        (950_000, DAY, 4, 1), (950_000, DAY, 3, 0), (1_000_000, DAY, 9, 0), (899_999, DAY, 9, 0), (900_000, DAY, 4, 1),
        (999_999, DAY, 4, 1),
        (950_000, 7 * DAY // 3, 4, 1), (950_000, 7 * DAY // 3 + 1, 4, 0),
    ],
)  # fmt: skip
def test_structuring_is_four_sums_just_below_the_line_in_a_week(pence: int, every: int, count: int, alerts: int) -> None:
    into = [Payment(p.transaction_id, p.booked_at, -p.amount_minor, "GBP", None, p.payee) for p in paid(count, every=every, pence=pence)]
    found = structuring.find(book(silver(into)), in_force("structuring", TODAY))
    assert len(found) == alerts
    for alert in found:
        assert (alert.account, len(alert.evidence)) == ("B0", 4)


@pytest.mark.parametrize(
    ("count", "payees", "every", "alerts"), [(20, 20, HOUR, 1), (19, 19, HOUR, 0), (40, 19, 1, 0), (20, 20, 2 * HOUR, 0)]
)
def test_fan_out_counts_different_payees_of_a_day(count: int, payees: int, every: int, alerts: int) -> None:
    assert len(fan.find_out(book(silver(paid(count, every=every, payees=payees))), in_force("fan_out", TODAY))) == alerts


def test_fan_in_counts_different_payers_of_a_day() -> None:
    stream = [Payment(f"{i:03d}", i, 5, "GBP", f"P{i}", "A") for i in range(20)]
    (alert,) = fan.find_in(book(silver(stream)), in_force("fan_in", TODAY))
    assert alert.sentence.startswith("20 different accounts paid this one")
    assert fan.find_in(book(silver(stream[:19])), in_force("fan_in", TODAY)) == []


def test_thresholds_have_a_day_an_owner_and_a_reason_and_every_scenario_has_some() -> None:
    assert all(one.owner and one.why and one.unit for one in thresholds())
    assert {one.scenario for one in thresholds()} == {scenario.name for scenario in SCENARIOS}
    assert in_force("velocity", TODAY, {"payments": 5})["payments"] == 5
    with pytest.raises(UsageError, match="no threshold 'paymens'"):
        in_force("velocity", TODAY, {"paymens": 5})
    with pytest.raises(UsageError, match="no scenario 'velocity' is in force on 2025-01-01"):
        in_force("velocity", date(2025, 1, 1))


def test_no_payments_fire_nothing() -> None:
    assert find_all(book(silver([])), TODAY) == {scenario.name: [] for scenario in SCENARIOS}


def passing(came: int, left: list[int], every: int = HOUR, currency: str = "GBP") -> list[Alert]:
    stream = [Payment("in", 0, came, currency, "B", "A")]
    stream += [Payment(f"out{i}", (i + 1) * every, -pence, currency, "A", f"C{i}") for i, pence in enumerate(left)]
    return pass_through.find(book(silver(stream)), in_force("pass_through", TODAY))


def test_pass_through_fires_when_nine_tenths_of_what_came_have_left() -> None:
    (alert,) = passing(400_000, [200_000, 150_000, 10_000, 20_000])
    assert (alert.fired_by, alert.evidence) == ("out2", ("in", "out0", "out1", "out2"))
    assert alert.sentence == (
        "£3,600.00 left the account from 1970-01-01 01:00:00 UTC to 1970-01-01 03:00:00 UTC;"
        " £4,000.00 had come to it in the 24 hours before: 90 %."
    )


@pytest.mark.parametrize(
    ("came", "left", "every", "currency"),
    [
        (400_000, [200_000, 150_000], HOUR, "GBP"), (299_999, [299_999], HOUR, "GBP"), (400_000, [444_001], HOUR, "GBP"),
        (400_000, [400_000], DAY + 1, "GBP"), (400_000, [200_000, 200_000], 23 * HOUR, "GBP"), (400_000, [400_000], HOUR, "EUR"),
    ],
)  # fmt: skip
def test_too_little_too_small_too_much_too_late_or_not_in_pounds_is_no_pass_through(
    came: int, left: list[int], every: int, currency: str
) -> None:
    assert passing(came, left, every, currency) == []


def test_an_account_that_passes_on_again_after_its_window_is_empty_is_told_of_again() -> None:
    days = [0, HOUR, 3 * DAY, 3 * DAY + HOUR]
    stream = [Payment(f"{n}", at, 400_000 - 800_000 * (n % 2), "GBP", *("BA" if n % 2 == 0 else "AC")) for n, at in enumerate(days)]
    fired = pass_through.find(book(silver(stream)), in_force("pass_through", TODAY))
    assert [alert.evidence for alert in fired] == [("0", "1"), ("2", "3")]


def test_what_left_before_it_came_is_no_pass_through() -> None:
    stream = [Payment("out", 0, -400_000, "GBP", "A", "C"), Payment("in", 1, 400_000, "GBP", "B", "A")]
    assert pass_through.find(book(silver(stream)), in_force("pass_through", TODAY)) == []


def woken(silence_us: int, *pence: int) -> list[Alert]:
    stream = [Payment("before", 0, -100, "GBP", "A", "B")]
    stream += [Payment(f"after{i}", silence_us + i * HOUR, amount, "GBP", "C", "A") for i, amount in enumerate(pence)]
    return dormant.find(book(silver(stream)), in_force("dormant", TODAY))


def test_a_dormant_account_wakes_when_large_sums_follow_half_a_year_of_silence() -> None:
    (alert,) = woken(180 * DAY, 300_000, 200_000, 900_000)
    assert (alert.account, alert.reason, alert.evidence) == ("A", "dormant_wakes", ("after0", "after1"))
    assert alert.sentence.endswith("after 180 days without a payment.")
    assert alert.sentence.startswith("£5,000.00 came to or left the account from ")


def test_a_shorter_silence_small_sums_and_a_new_account_are_not_dormant() -> None:
    assert woken(180 * DAY - 1, 900_000) == []
    assert woken(180 * DAY, 499_999) == []
    assert woken(180 * DAY, *[100_000, *[0] * 24, 400_000]) == []  # the large sum comes a day and an hour later
    assert dormant.find(book(silver([Payment("1", 400 * DAY, 900_000, "GBP", "C", "A")])), in_force("dormant", TODAY)) == []


@pytest.mark.parametrize(
    ("pence", "count", "every", "alerts"),
    [(100_000, 5, DAY, 1), (100_000, 4, DAY, 0), (150_000, 5, DAY, 1), (125_000, 9, DAY, 0), (50_000, 9, DAY, 0), (100_000, 5, 2 * DAY, 0)],
)
def test_round_amounts_are_five_multiples_of_five_hundred_pounds_in_a_week(pence: int, count: int, every: int, alerts: int) -> None:
    found = round_amounts.find(book(silver(paid(count, every=every, pence=pence))), in_force("round_amounts", TODAY))
    assert len(found) == alerts


def abroad(payments: list[tuple[int, int, str]]) -> list[Alert]:
    """Payments of one account: when, pence, country."""
    rows = silver([Payment(f"{i:03d}", at, pence, "GBP", "A", None) for i, (at, pence, _) in enumerate(payments)])
    rows = rows.set_column(rows.schema.get_field_index("country"), "country", pa.array([country for *_, country in payments], pa.string()))
    return high_risk_country.find(book(rows), in_force("high_risk_country", TODAY))


SUMMER_2026 = (date(2026, 6, 1) - date(1970, 1, 1)).days * DAY


@pytest.mark.parametrize(
    ("payments", "alerts"),
    [
        ([(0, -100_000, "MM")], 1),
        ([(0, -99_999, "MM")], 0),
        ([(0, -60_000, "MM"), (6 * DAY, -40_000, "MM")], 1),
        ([(0, -60_000, "MM"), (8 * DAY, -40_000, "MM")], 0),
        ([(0, -60_000, "MM"), (DAY, -40_000, "IR")], 0),
        ([(0, -100_000, "FR")], 0),
        ([(-90 * DAY, -100, "MM"), (0, -100_000, "MM")], 0),
        ([(-190 * DAY, -100, "MM"), (0, -100_000, "MM")], 1),
        ([(0, -100_000, "ZA")], 0),
        ([(-300 * DAY, -100_000, "ZA")], 1),
        ([(0, -100_000, "MM"), (1, -100_000, "IR")], 2),
    ],
    ids=[
        "enough", "too little", "within a week", "not within a week", "two countries", "not listed", "not new", "new again",
        "delisted", "listed then", "each country alone",
    ],
)  # fmt: skip
def test_a_new_high_risk_country_is_one_listed_on_the_day_and_not_paid_for_half_a_year(
    payments: list[tuple[int, int, str]], alerts: int
) -> None:
    assert len(abroad([(SUMMER_2026 + at, pence, country) for at, pence, country in payments])) == alerts


@pytest.mark.parametrize(
    ("before", "pence", "payee", "alerts"),
    [(5, 500_000, "new", 1), (5, 499_999, "new", 0), (4, 500_000, "new", 0), (5, 500_000, "B0", 0), (5, 500_000, None, 0)],
)
def test_a_new_payee_of_a_large_amount_after_some_small_ones(before: int, pence: int, payee: str | None, alerts: int) -> None:
    stream = [*paid(before, every=HOUR, pence=100_000), Payment("new", 9 * HOUR, -pence, "GBP", "A", payee)]
    found = new_payee.find(book(silver(stream)), in_force("new_payee", TODAY))
    assert [alert.evidence for alert in found] == [("new",)] * alerts
    larger = [Payment("000", 0, -100_001, "GBP", "A", "B0"), *stream[1:]]
    assert new_payee.find(book(silver(larger)), in_force("new_payee", TODAY)) == [] or pence != 500_000


def ring(accounts: str, pence: list[int], every: int = DAY) -> list[Payment]:
    """Payments along the letters; all accounts are ours, since each is booked by its payer."""
    return [Payment(f"{i:03d}", i * every, -amount, "GBP", *accounts[i : i + 2]) for i, amount in enumerate(pence)]


def cycles(stream: list[Payment]) -> list[Alert]:
    return cycle.find(book(silver(stream)), in_force("cycle", TODAY))


@pytest.mark.parametrize(
    ("accounts", "pence", "every", "found"),
    [
        ("ABA", [125_000, 100_000], DAY, 1),
        ("ABCA", [100_000, 100_000, 100_000], DAY, 1),
        ("ABCDA", [200_000, 190_000, 180_000, 170_000], DAY, 1),
        ("ABCDEA", [200_000] * 5, DAY, 0),
        ("ABCA", [200_000, 159_999, 159_999], DAY, 0),
        ("ABCA", [200_000, 200_001, 200_000], DAY, 0),
        ("ABCA", [99_999, 99_999, 99_999], DAY, 0),
        ("ABCA", [100_000] * 3, 7 * DAY // 2, 1),
        ("ABCA", [100_000] * 3, 7 * DAY // 2 + 1, 0),
    ],
)  # fmt: skip
def test_a_cycle_is_money_back_within_a_week_through_at_most_three_others(accounts: str, pence: list[int], every: int, found: int) -> None:
    alerts = cycles(ring(accounts, pence, every))
    assert [(alert.account, len(alert.evidence)) for alert in alerts] == [("A", len(pence))] * found


def test_a_cycle_is_not_one_backwards_in_time() -> None:
    stream = ring("ABCA", [100_000] * 3)
    back = [replace(p, booked_at=-p.booked_at) for p in stream]
    assert cycles(back) == []


def test_money_that_is_known_at_its_first_and_second_leg_goes_round_once() -> None:
    stream = ring("ABCA", [100_000] * 3)
    legs = [Payment(f"leg-{p.transaction_id}", p.booked_at, -p.amount_minor, p.currency, p.payer, p.payee) for p in stream]
    (alert,) = cycles(stream + legs)
    assert alert.sentence == (
        "£1,000.00 left the account and £1,000.00 came back to it through 2 others,"
        " from 1970-01-01 00:00:00 UTC to 1970-01-03 00:00:00 UTC."
    )


def test_through_an_account_that_pays_very_many_nothing_goes_round() -> None:
    stream = ring("ABA", [100_000] * 2, DAY)
    crowd = [Payment(f"c{i:03d}", HOUR + i, -100_000, "GBP", "B", f"X{i}") for i in range(100)]
    assert len(cycles(stream + crowd[:99])) == 1
    assert cycles(stream + crowd) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9 * 24), st.sampled_from([100_000, 90_000, 75_000, 110_000]), st.sampled_from("ABCD"), st.sampled_from("ABCD")
        ),
        max_size=14,
    )
)
def test_every_payment_that_closes_a_cycle_is_found(values: list[tuple[int, int, str, str]]) -> None:
    stream = [Payment(f"{i:03d}", at * HOUR, -pence, "GBP", payer, payee) for i, (at, pence, payer, payee) in enumerate(values)]
    thresholds = in_force("cycle", TODAY) | {"least_amount": 0}
    found = {alert.fired_by for alert in cycle.find(book(silver(stream)), thresholds)}
    ordered = sorted(((p.booked_at, p.transaction_id, p) for p in stream if p.payer != p.payee), key=lambda one: one[:2])
    closing = {
        path[-1].transaction_id
        for hops in (2, 3, 4)
        for chosen in combinations([p for *_, p in ordered], hops)
        if (path := list(chosen))
        and path[-1].payee == path[0].payer
        and path[-1].booked_at - path[0].booked_at <= 7 * DAY
        and len({p.payer for p in path}) == hops
        and all(a.payee == b.payer and 80 * -a.amount_minor <= 100 * -b.amount_minor <= 100 * -a.amount_minor for a, b in pairwise(path))
    }
    assert found == closing
