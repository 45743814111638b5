"""The states of a quarantined record: every move that may be made, and none that may not."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from app.compliance.corrections import (
    TRANSITIONS,
    Act,
    Decision,
    Item,
    Standing,
    State,
    after,
    correction_of,
    digest,
    seen,
    standings,
    values_of,
)
from app.contracts.landing import NAMES
from app.errors import ReviewRefused

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
ITEM = Item("ab" * 32, 17)
VALUE = correction_of({"sort_code": "012345"}, unreadable=False)


def decision(act: Act, sequence: int, who: str = "ada", proposal: int = 1, correction: str | None = VALUE) -> Decision:
    given = correction if act is Act.PROPOSED else None
    return Decision(*ITEM, act, proposal, given, None, (), None, None, who, "the branch's form", sequence, NOW, None)


def standing_in(state: State, correction: str | None = VALUE) -> Standing:
    standing = Standing()
    steps = {
        State.OPEN: [],
        State.PROPOSED: [Act.PROPOSED],
        State.APPROVED: [Act.PROPOSED, Act.APPROVED],
        State.CORRECTED: [Act.PROPOSED, Act.APPROVED, Act.ACCEPTED],
        State.CLOSED: [Act.PROPOSED, Act.CLOSED],
    }
    for sequence, act in enumerate(steps[state], 1):
        who = "ada" if act is Act.PROPOSED else "grace"
        standing = after(standing, decision(act, sequence, who, correction=None if state is State.CLOSED else correction))
    assert standing.state is state
    return standing


@pytest.mark.parametrize(("state", "act"), list(product(State, Act)))
def test_what_is_in_the_table_may_happen_and_nothing_else(state: State, act: Act) -> None:
    closing = act is Act.CLOSED and state is State.PROPOSED
    standing = standing_in(state, None if closing else VALUE)
    made = decision(act, 9, "grace", proposal=9 if act is Act.PROPOSED else 1)
    if (state, act) in TRANSITIONS:
        assert after(standing, made).state is TRANSITIONS[state, act]
    else:
        with pytest.raises(ReviewRefused, match=f"{ITEM}.*nothing was changed"):
            after(standing, made)


def test_every_state_but_the_last_two_can_be_left_and_those_never() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.OPEN, State.PROPOSED, State.APPROVED}


@pytest.mark.parametrize("correction", [VALUE, None])
def test_who_proposes_cannot_approve(correction: str | None) -> None:
    standing = standing_in(State.PROPOSED, correction)
    act = Act.APPROVED if correction else Act.CLOSED
    with pytest.raises(ReviewRefused, match="ada proposed this and cannot approve it"):
        after(standing, decision(act, 2, "ada"))
    assert after(standing, decision(act, 2, "grace")).approved_by == "grace"


def test_who_proposes_may_take_it_back() -> None:
    assert after(standing_in(State.PROPOSED), decision(Act.REJECTED, 2, "ada")).state is State.OPEN


def test_a_decision_about_another_proposal_than_the_one_that_stands_is_refused() -> None:
    with pytest.raises(ReviewRefused, match="has proposal 1 now, not 7"):
        after(standing_in(State.PROPOSED), decision(Act.APPROVED, 8, "grace", proposal=7))


def test_a_proposal_to_leave_out_is_not_approved_as_a_correction_nor_the_reverse() -> None:
    with pytest.raises(ReviewRefused, match="not one that can be approved"):
        after(standing_in(State.PROPOSED, None), decision(Act.APPROVED, 2, "grace"))
    with pytest.raises(ReviewRefused, match="not one that can be closed"):
        after(standing_in(State.PROPOSED), decision(Act.CLOSED, 2, "grace"))


def test_a_returned_record_is_open_and_knows_what_is_still_wrong() -> None:
    returned = replace(decision(Act.RETURNED, 3, "grace"), reasons=("sort_code_format",), run_id="r")
    standing = after(standing_in(State.APPROVED), returned)
    assert (standing.state, standing.proposal, standing.returned) == (State.OPEN, None, returned)


def test_decisions_in_order_make_standings_and_one_out_of_place_is_a_fault() -> None:
    good = [decision(Act.PROPOSED, 1), decision(Act.APPROVED, 2, "grace")]
    assert standings(good)[ITEM].state is State.APPROVED
    assert seen(good) == (standings(good), [])
    found, (fault,) = seen([good[0], replace(good[1], who="ada")])
    assert found[ITEM].state is State.PROPOSED
    assert "ada proposed this and cannot approve it" in fault


def test_the_digest_depends_on_every_word_and_on_the_order() -> None:
    first, second = decision(Act.PROPOSED, 1), decision(Act.APPROVED, 2, "grace")
    digests = {digest(made) for made in ([first, second], [second, first], [first], [replace(first, why="another"), second])}
    assert len(digests) == 4


def test_a_correction_is_canonical_and_comes_back_as_it_was() -> None:
    assert correction_of({"currency": "GBP", "amount": "1.00"}, unreadable=False) == '{"amount":"1.00","currency":"GBP"}'
    assert values_of(correction_of({"description": "é, \n"}, unreadable=False)) == {"description": "é, \n"}


@pytest.mark.parametrize(
    ("values", "unreadable", "said"),
    [
        ({"amout": "1"}, False, "no column amout"),
        ({"amount": "1\0"}, False, "NUL"),
        ({"amount": "\udcff"}, False, "UTF-8"),
        ({}, False, "one column at least"),
        ({"amount": "1"}, True, "all twelve values; missing: transaction_id, timestamp"),
    ],
)
def test_what_no_landing_file_could_hold_is_no_correction(values: dict[str, str], unreadable: bool, said: str) -> None:
    with pytest.raises(ReviewRefused, match=said):
        correction_of(values, unreadable)


def test_all_twelve_values_correct_a_record_that_could_not_be_read() -> None:
    assert set(values_of(correction_of(dict.fromkeys(NAMES, "x"), unreadable=True))) == set(NAMES)
