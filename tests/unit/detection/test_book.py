from hypothesis import given
from hypothesis import strategies as st

from app.detection.book import book, instant, side
from app.detection.money import pounds
from tests.support.payments import DAY, HOUR, Payment, silver, streams


@given(streams(), st.sampled_from([0, 1, HOUR, DAY, 30 * DAY]), st.booleans())
def test_windows_hold_what_looking_at_all_payments_gives(stream: list[Payment], window: int, paying: bool) -> None:
    opened = book(silver(stream))
    seen = side(opened, paying=paying)
    begins = seen.begins(window)
    for place in range(len(seen.rows)):
        inside = [p for p in range(place + 1) if seen.party[p] == seen.party[place] and seen.booked_at[place] - seen.booked_at[p] <= window]
        assert inside == list(range(begins[place], place + 1))
        assert seen.sums(begins)[place] == sum(int(seen.amount[p]) for p in inside)
        assert seen.others(begins)[place] == len({int(seen.other[p]) for p in inside} - {-1})


@given(streams(), st.booleans())
def test_every_payment_of_an_account_of_ours_has_one_place_and_each_party_is_in_order(stream: list[Payment], paying: bool) -> None:
    opened = book(silver(stream))
    seen = side(opened, paying=paying)
    parties = opened.payments.payer if paying else opened.payments.payee
    first_legs = [row for row in range(len(stream)) if opened.payments.stands_for[row] == row]
    booked = {p.payer if p.amount_minor < 0 else p.payee for p in stream}
    names = (opened.payer if paying else opened.payee).to_pylist()
    own = {row for row in first_legs if parties[row] >= 0 and names[row] in booked and opened.own[parties[row]]}
    assert sorted(seen.rows.tolist()) == sorted(own)
    order = list(zip(seen.party.tolist(), seen.rows.tolist(), strict=True))
    assert order == sorted(order)


def test_money_and_instants_are_written_for_people() -> None:
    assert pounds(123_456_789) == "£1,234,567.89"
    assert pounds(5) == "£0.05"
    assert instant(DAY + HOUR + 1) == "1970-01-02 01:00:00 UTC"


@given(streams(), st.sampled_from([0, HOUR, DAY, 30 * DAY]))
def test_what_came_before_is_found_for_every_payment_that_leaves(stream: list[Payment], window: int) -> None:
    opened = book(silver(stream))
    out, into = side(opened, paying=True), side(opened, paying=False)
    begins, ends = into.before(out, window)
    for place in range(len(out.rows)):
        expected = [
            row
            for row, party, at in zip(into.rows.tolist(), into.party.tolist(), into.booked_at.tolist(), strict=True)
            if party == out.party[place] and row < out.rows[place] and out.booked_at[place] - at <= window
        ]
        assert into.rows[begins[place] : ends[place]].tolist() == expected
