from datetime import date

import pytest

from app.contracts.retention_rules import NAMES, RULES, Clock, Ending, in_force, newest
from app.errors import UsageError


def test_a_rule_is_the_one_in_force_on_the_day() -> None:
    assert in_force("payments_of_customers", date(2017, 6, 25)).clock is Clock.TRANSACTION_COMPLETE
    assert in_force("payments_of_customers", date(2017, 6, 26)).clock is Clock.RELATIONSHIP_ENDED
    assert newest("payments_of_customers").most_years == 10


def test_order_of_the_rules_does_not_matter() -> None:
    for name in NAMES:
        assert in_force(name, date(2026, 1, 1), reversed(RULES)) == newest(name)


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no retention rule payment; there are payments_of_customers"):
        newest("payment")


def test_a_day_before_the_law_has_no_rule() -> None:
    with pytest.raises(UsageError, match="not in force on 2001-01-01; it is from 2003-10-31 on"):
        in_force("audit_records", date(2001, 1, 1))


def test_no_name_has_two_rules_from_one_day() -> None:
    assert len({(rule.name, rule.in_force_from) for rule in RULES}) == len(RULES)


def test_each_rule_says_where_it_is_written_and_how_long() -> None:
    for rule in RULES:
        assert rule.law
        assert rule.article
        assert rule.sentence.endswith(".")
        assert rule.years >= 1
        assert rule.most_years is None or rule.most_years >= rule.years


def test_money_laundering_records_are_kept_five_years_and_then_lose_personal_data() -> None:
    for name in ("payments_of_customers", "occasional_transactions"):
        rule = newest(name)
        assert (rule.years, rule.ending) == (5, Ending.MUST_ERASE)
        assert "2017/692" in rule.law
