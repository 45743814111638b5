"""What is decided about a person's data, by hand: ended and running relationships, holds, others' payments, what stays all the same."""

from datetime import date

import pytest

from app.compliance.erasure import COMPLAINT, Decision, Holding, Outcome, Side, decide, letter
from app.compliance.retention import Known, Verdict, rules_of
from app.compliance.retention import decide as judge
from app.contracts.lake import ALERTS, BRONZE, SILVER

ON = date(2026, 3, 4)


def verdict(booked: date, ended: date | None = None, holds: tuple[int, ...] = (), *, occasional: bool = False) -> Verdict:
    return judge(rules_of(SILVER, ON, occasional=occasional), Known(booked, ended), ON, personal=True, holds=holds)


def payments(booked: date, of: Verdict, rows: int = 3, side: Side = Side.BOOKED) -> Holding:
    return Holding(SILVER.path, side, rows, booked, booked, of)


def decided(*held: Holding, has_key: bool = False) -> Decision:
    return decide(held, ON, has_key=has_key)


LONG_ENDED = payments(date(2018, 5, 1), verdict(date(2018, 5, 1), ended=date(2020, 3, 3)))
RUNNING = payments(date(2018, 5, 1), verdict(date(2018, 5, 1)))
HELD = payments(date(2012, 5, 1), verdict(date(2012, 5, 1), holds=(7,)))
OTHERS = payments(date(2024, 5, 1), verdict(date(2024, 5, 1)), side=Side.OTHER)


def test_a_relationship_that_ended_six_years_ago_is_erased() -> None:
    found = decided(LONG_ENDED)
    assert (found.outcome, found.until, found.reasons, found.holds, found.by_key) == (Outcome.ERASE, None, (), (), False)
    assert found.rows_going == 3


def test_a_relationship_that_goes_on_is_restricted_for_ten_years_from_the_payment_with_the_article() -> None:
    found = decided(RUNNING)
    assert (found.outcome, found.until, found.rows_going) == (Outcome.RESTRICT, date(2028, 5, 1), 0)
    (reason,) = found.reasons
    assert (reason.article, reason.rows, reason.until) == ("regulation 40(2) to (5)", 3, date(2028, 5, 1))
    assert "2017/692" in reason.law


def test_a_relationship_that_ended_a_year_ago_is_restricted_for_four_more() -> None:
    found = decided(payments(date(2024, 5, 1), verdict(date(2024, 5, 1), ended=date(2025, 3, 3))))
    assert (found.outcome, found.until) == (Outcome.RESTRICT, date(2030, 3, 3))


def test_an_occasional_customers_payment_goes_five_years_after_it() -> None:
    assert decided(payments(ON, verdict(date(2021, 3, 4), occasional=True))).outcome is Outcome.ERASE
    assert decided(payments(ON, verdict(date(2021, 3, 5), occasional=True))).until == date(2026, 3, 5)


def test_a_hold_stops_what_is_due_and_no_day_is_named() -> None:
    found = decided(HELD)
    assert (found.outcome, found.until, found.holds, found.reasons) == (Outcome.RESTRICT, None, (7,), ())


def test_as_the_other_side_the_booked_accounts_clock_counts() -> None:
    found = decided(OTHERS)
    assert (found.outcome, found.until) == (Outcome.RESTRICT, date(2034, 5, 1))
    assert any("you are the other side of somebody else's payment" in line for line in letter(found))


def test_of_a_mix_what_is_due_goes_and_the_latest_day_is_named() -> None:
    found = decided(LONG_ENDED, RUNNING, HELD, OTHERS)
    assert found.outcome is Outcome.PART
    assert (found.going, found.until, found.holds) == ((LONG_ENDED,), date(2034, 5, 1), (7,))
    assert sum(reason.rows for reason in found.reasons) == 6


def test_what_follows_a_payment_has_no_clock_of_its_own() -> None:
    bronze = Holding(BRONZE.path, Side.ABOUT, 3, ON, ON, verdict(ON), follows=True)
    assert decided(RUNNING, bronze).until == date(2028, 5, 1)
    assert decided(bronze).until == date(2036, 3, 4)


def test_what_is_due_and_stays_beside_others_records_is_no_erasure_unless_a_key_is_destroyed() -> None:
    file = Holding("bronze/files", Side.ABOUT, 3, ON, ON, LONG_ENDED.verdict, follows=True, stays="others' records are in it")
    plain, sealed = decided(LONG_ENDED, file), decided(LONG_ENDED, file, has_key=True)
    assert (plain.outcome, plain.left, plain.by_key) == (Outcome.PART, (file,), False)
    assert (sealed.outcome, sealed.kept, sealed.by_key) == (Outcome.ERASE, (), True)
    partly = decided(LONG_ENDED, file, RUNNING, has_key=True)
    assert (partly.outcome, partly.by_key, partly.going) == (Outcome.PART, False, (LONG_ENDED,))


def test_nothing_held_is_nothing_to_decide() -> None:
    with pytest.raises(ValueError, match="nothing is held"):
        decided()


def test_the_letter_says_what_was_held_what_was_decided_by_when_the_rest_goes_and_where_to_complain() -> None:
    said = letter(decided(LONG_ENDED, RUNNING), backup_days=30)
    assert "silver/transactions: 6 rows from 2018-05-01 to 2018-05-01." in said
    assert any("until 2028-05-01" in line and "2017/692" in line and "17(3)(b)" in line for line in said)
    assert any("18(2)" in line for line in said)
    assert any("until 2026-04-03 at the latest" in line for line in said)
    assert said[-1] == COMPLAINT
    assert not any("Backups" in line for line in letter(decided(RUNNING), backup_days=30))
    assert "All of it was erased" in " ".join(letter(decided(LONG_ENDED)))


def test_the_letter_tells_nobody_that_he_was_suspected_or_what_a_hold_is_for() -> None:
    alert = Holding(ALERTS.path, Side.ABOUT, 1, ON, ON, verdict(ON))
    text = " ".join(letter(decided(RUNNING, HELD, alert)))
    assert "alert" not in text
    assert "hold" not in text
    assert "without a day that is known" in text
    assert any(one["table"] == ALERTS.path for one in decided(RUNNING, alert).document()["kept"])


def test_the_document_and_the_lines_say_the_same() -> None:
    found = decided(LONG_ENDED, RUNNING, HELD)
    document = found.document()
    assert (document["outcome"], document["until"], document["holds"]) == ("part", "2028-05-01", [7])
    assert [sum(one["rows"] for one in document[name]) for name in ("goes", "kept")] == [3, 6]
    text = "\n".join(found.lines())
    assert "of 9 rows, 3 go, 6 stay" in text
    assert "until 2028-05-01: 3 rows by regulation 40(2) to (5)" in text
    assert "Legal holds stand: 7" in text
