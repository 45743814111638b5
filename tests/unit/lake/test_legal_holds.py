"""Legal holds and relationships in a lake: numbered, never changed, refused with a sentence."""

from datetime import date
from pathlib import Path

import pytest

from app.compliance.legal_holds import Act, Decision, Hold, Kind, standing
from app.errors import HoldRefused, UsageError
from app.lake import layout, legal_holds, relationships
from app.lake.relationships import Relationship
from app.lake.storage import Storage
from tests.support.lake import NOW

ACCOUNT = "990001-10000001"


def add(storage: Storage, kind: Kind = Kind.ACCOUNT, about: str = ACCOUNT) -> Decision:
    return legal_holds.add(storage, kind, about, "an inquiry", NOW.isoformat(), "ada")


def test_a_hold_stands_until_it_is_released_and_its_history_stays(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    add(storage)
    add(storage, Kind.PERIOD, "2016-01-01/2016-12-31")
    assert [hold.number for hold in standing(legal_holds.decisions(storage))] == [1, 2]
    legal_holds.release(storage, 1, "it is over", NOW.isoformat(), "grace")
    assert [(one.number, one.act, one.hold, one.by) for one in legal_holds.decisions(storage)] == [
        (1, Act.ADDED, 1, "ada"), (2, Act.ADDED, 2, "ada"), (3, Act.RELEASED, 1, "grace"),
    ]  # fmt: skip
    assert standing(legal_holds.decisions(storage)) == [Hold(2, Kind.PERIOD, "2016-01-01/2016-12-31", "an inquiry")]
    with pytest.raises(HoldRefused, match="there is no hold 1 that stands"):
        legal_holds.release(storage, 1, "again", NOW.isoformat(), "grace")


def test_of_two_who_decide_at_once_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path))
    monkeypatch.setattr(legal_holds, "decisions", lambda _: [])
    add(storage)
    with pytest.raises(HoldRefused, match="somebody else has decided"):
        add(storage)


@pytest.mark.parametrize(
    ("kind", "about"), [(Kind.ACCOUNT, "10000001"), (Kind.PERIOD, "2016"), (Kind.PERIOD, "2016-02-01/2016-01-01"), (Kind.PERIOD, "a/b")]
)
def test_what_can_be_no_hold_is_refused(tmp_path: Path, kind: Kind, about: str) -> None:
    with pytest.raises(UsageError):
        add(Storage(str(tmp_path)), kind, about)
    assert not list(Storage(str(tmp_path)).entries(layout.HOLDS))


def test_a_period_covers_its_days_and_of_records_that_may_be_older_all_after_it_began() -> None:
    hold = Hold(1, Kind.PERIOD, "2016-01-01/2016-12-31", "")
    covered = [hold.covers(day) for day in (date(2015, 12, 31), date(2016, 1, 1), date(2016, 12, 31), date(2017, 1, 1))]
    assert covered == [False, True, True, False]
    assert hold.covers(date(2017, 1, 1), at_latest=True)
    assert not hold.covers(date(2015, 12, 31), at_latest=True)


def test_the_table_of_relationships_in_force_is_the_last_that_has_begun(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    old, new = (f"account,kind,ended_on\n{ACCOUNT},customer,{day}\n".encode() for day in ("", "2020-03-31"))
    assert relationships.in_force(storage, date(2026, 1, 1)).accounts == {}
    assert relationships.keep(storage, old, date(2026, 1, 1), NOW) is not None
    assert relationships.keep(storage, new, date(2026, 2, 1), NOW) is not None
    assert relationships.keep(storage, new, date(2026, 2, 1), NOW) is None
    assert relationships.in_force(storage, date(2026, 1, 31)).accounts == {ACCOUNT: Relationship(False, None)}
    assert relationships.in_force(storage, date(2026, 2, 1)).accounts == {ACCOUNT: Relationship(False, date(2020, 3, 31))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("account,ended_on\n", "the first line must be account,kind,ended_on"),
        ("account,kind,ended_on\n", "names no account"),
        (f"account,kind,ended_on\n{ACCOUNT},customer\n", "line 2: there must be three values"),
        ("account,kind,ended_on\n1,customer,\n", "line 2: account: it is not written SSSSSS-AAAAAAAA"),
        (f"account,kind,ended_on\n{ACCOUNT},friend,\n", "line 2: kind: friend is neither"),
        (f"account,kind,ended_on\n{ACCOUNT},customer,soon\n", "line 2: ended_on: soon is not a day"),
        (f"account,kind,ended_on\n{ACCOUNT},customer,\n{ACCOUNT},customer,\n", "line 3: account: it stands there for the second time"),
    ],
)
def test_a_wrong_table_of_relationships_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        relationships.parse(text.encode(), "who.csv")
    assert said in str(caught.value)
