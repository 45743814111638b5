"""A decision erases nothing that retention would keep, and names no day before the last clock has run out."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from app.compliance.erasure import Holding, Outcome, Side, decide, letter
from app.compliance.retention import Known, rules_of
from app.compliance.retention import decide as judge
from app.contracts.lake import ALERTS, CORRECTIONS, SHADOW_SCORES, SILVER

ON = date(2026, 3, 4)
DAYS = st.dates(date(2008, 1, 1), ON)


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    """Rows of a table, judged by its own rules."""
    contract, booked = draw(st.sampled_from([SILVER, ALERTS, CORRECTIONS, SHADOW_SCORES])), draw(DAYS)
    known = Known(booked, draw(st.none() | DAYS))
    holds = tuple(draw(st.sets(st.integers(1, 3), max_size=2)))
    verdict = judge(rules_of(contract, ON, occasional=draw(st.booleans())), known, ON, personal=True, holds=holds)
    stays = draw(st.sampled_from(["", "beside others' records"]))
    return Holding(contract.path, draw(st.sampled_from(list(Side))), draw(st.integers(1, 9)), booked, booked, verdict, stays=stays)


@given(st.lists(holdings(), min_size=1, max_size=8), st.booleans())
def test_nothing_is_erased_that_a_clock_or_a_hold_keeps(held: list[Holding], has_key: bool) -> None:
    found = decide(held, ON, has_key=has_key)
    assert all(one.verdict.fate.goes and not one.verdict.holds for one in found.going)
    assert sum(one.rows for one in (*found.going, *found.kept)) == sum(one.rows for one in held)
    assert found.by_key == (has_key and all(one.verdict.fate.goes for one in held))
    assert not found.by_key or found.outcome is Outcome.ERASE
    clocks = [one.verdict.until for one in found.kept if not one.verdict.fate.goes and not one.verdict.holds]
    if found.until is not None:
        assert found.until > ON
        assert all(day is not None and day <= found.until for day in clocks)
    assert {number for one in found.kept for number in one.verdict.holds} == set(found.holds)
    assert (found.outcome is Outcome.ERASE) == (not found.kept)
    assert (found.outcome is Outcome.RESTRICT) == (not found.going)


@given(st.lists(holdings(), min_size=1, max_size=8))
def test_no_letter_tells_of_alerts_or_holds(held: list[Holding]) -> None:
    text = "\n".join(letter(decide(held, ON, has_key=False), 30))
    assert "alert" not in text
    assert "shadow" not in text
    assert "hold" not in text
