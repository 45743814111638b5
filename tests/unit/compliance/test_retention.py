"""What must be kept, may go or must go: nothing goes while a duty to keep it or a hold stands."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compliance.retention import Fate, Known, claims, decide, is_personal, keep_until, rules_of, soonest, years_after
from app.contracts.lake import CHANNEL_DAILY, SILVER, TABLES
from app.contracts.retention_rules import RULES, Clock, Ending, RetentionRule, in_force
from app.contracts.table import TableContract

ON = date(2026, 3, 4)
CUSTOMERS = in_force("payments_of_customers", ON)
OCCASIONAL = in_force("occasional_transactions", ON)
BUSINESS = in_force("business_records", ON)

days = st.dates(date(2000, 1, 1), date(2060, 12, 31))
rules = st.builds(
    RetentionRule,
    st.sampled_from(["payments_of_customers", "business_records"]),
    days,
    st.integers(0, 12),
    st.sampled_from(Clock),
    st.sampled_from(Ending),
    st.just("a law"),
    st.just("an article"),
    st.just("a sentence"),
    st.none() | st.integers(0, 15),
)
known = st.builds(Known, days, st.none() | days)


@pytest.mark.parametrize(
    ("rule", "of", "until"),
    [
        (CUSTOMERS, Known(date(2015, 5, 1)), date(2025, 5, 1)),  # nothing is known of the relationship: ten years
        (CUSTOMERS, Known(date(2015, 5, 1), date(2016, 1, 1)), date(2021, 1, 1)),  # five from its end
        (CUSTOMERS, Known(date(2015, 5, 1), date(2023, 1, 1)), date(2025, 5, 1)),  # but not more than ten from the transaction
        (CUSTOMERS, Known(date(2015, 5, 1), date(2015, 4, 1)), date(2020, 5, 1)),  # booked after the end
        (OCCASIONAL, Known(date(2015, 5, 1), date(2023, 1, 1)), date(2020, 5, 1)),
        (BUSINESS, Known(date(2016, 2, 29)), date(2021, 3, 1)),
        (in_force("audit_records", ON), Known(date(2001, 1, 1)), None),
    ],
)
def test_a_rule_keeps_until_its_clock_is_over(rule: RetentionRule, of: Known, until: date | None) -> None:
    assert keep_until(rule, of) == until


def test_the_last_day_is_kept_and_the_next_is_not() -> None:
    fates = [decide([CUSTOMERS], Known(ON), day, personal=True).fate for day in (date(2036, 3, 3), date(2036, 3, 4))]
    assert fates == [Fate.KEPT, Fate.MUST_GO]


def test_the_longest_duty_to_keep_wins_over_a_shorter_that_must_erase() -> None:
    short = in_force("no_longer_than_needed", ON)
    found = decide([short, BUSINESS], Known(date(2022, 1, 1)), ON, personal=True)
    assert (found.fate, found.rule, found.until) == (Fate.KEPT, BUSINESS, date(2027, 1, 1))


def test_what_need_not_be_kept_must_go_if_it_is_personal_and_else_may() -> None:
    assert decide([BUSINESS], Known(date(2019, 1, 1)), ON, personal=True).fate is Fate.MUST_GO
    assert decide([BUSINESS], Known(date(2019, 1, 1)), ON, personal=False).fate is Fate.MAY_GO


def test_a_hold_stops_what_is_over_and_is_named() -> None:
    found = decide([CUSTOMERS], Known(date(2010, 1, 1)), ON, personal=True, holds=(3,))
    assert (found.fate, found.holds) == (Fate.HELD, (3,))


@given(st.lists(rules, min_size=1, max_size=4), known, days, st.booleans(), st.lists(st.integers(1, 9), max_size=2))
def test_nothing_goes_while_a_rule_still_keeps_it_or_a_hold_stands(
    claimed: list[RetentionRule], of: Known, on: date, personal: bool, holds: list[int]
) -> None:
    found = decide(claimed, of, on, personal=personal, holds=holds)
    kept = [until is None or until > on for until in (keep_until(rule, of) for rule in claimed)]
    assert found.fate.goes == (not any(kept) and not holds)
    assert (found.fate is Fate.KEPT) == any(kept)


@given(st.lists(rules, min_size=1, max_size=4), known, days)
def test_what_goes_one_day_goes_the_next(claimed: list[RetentionRule], of: Known, on: date) -> None:
    today, tomorrow = (decide(claimed, of, day, personal=True).fate for day in (on, on + timedelta(days=1)))
    assert tomorrow.goes or not today.goes


@given(st.lists(rules, min_size=1, max_size=4), known, days)
def test_nothing_goes_before_the_soonest_day(claimed: list[RetentionRule], of: Known, on: date) -> None:
    assert not decide(claimed, of, on, personal=True).fate.goes or on >= soonest(claimed, of.made)


@given(days, rules, st.sampled_from(TABLES))
def test_a_rule_changes_only_what_is_judged_from_its_day_on(on: date, later: RetentionRule, contract: TableContract) -> None:
    if on >= date(2018, 5, 25):
        changed = rules_of(contract, on, [*RULES, later])
        if on < later.in_force_from or later.name not in claims(contract):
            assert changed == rules_of(contract, on)
        elif later.in_force_from > max(rule.in_force_from for rule in RULES if rule.name == later.name):
            assert later in changed


def test_an_occasional_customers_payments_are_claimed_by_the_rule_of_occasional_transactions() -> None:
    assert rules_of(SILVER, ON) == [CUSTOMERS]
    assert rules_of(SILVER, ON, occasional=True) == [OCCASIONAL]


def test_a_columns_own_rule_claims_the_row_too() -> None:
    columns = (replace(CHANNEL_DAILY.columns[0], retention="no_longer_than_needed"), *CHANNEL_DAILY.columns[1:])
    assert claims(replace(CHANNEL_DAILY, columns=columns)) == ("business_records", "no_longer_than_needed")
    assert is_personal(SILVER)
    assert not is_personal(CHANNEL_DAILY)


def test_years_end_with_the_calendar() -> None:
    assert years_after(date(9998, 1, 1), 5) == date.max
