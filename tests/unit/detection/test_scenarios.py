from datetime import date

import pytest

from app.detection import dormant, fan, pass_through, structuring, velocity
from app.detection.alert import Alert
from app.detection.book import SECOND_US, book
from app.detection.pack import SCENARIOS, find_all
from app.detection.thresholds import in_force, thresholds
from app.errors import UsageError
from app.features.histories import Payment
from tests.support.payments import DAY, HOUR, silver

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
