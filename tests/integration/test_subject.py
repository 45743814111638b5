"""One person: what is found, what the copy shows, what is erased, restricted or refused, and what is left of it."""

import json
import random
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.compliance.access import Clearance, visible
from app.compliance.legal_holds import Kind
from app.compliance.masking import STARS
from app.compliance.roles import Role
from app.contracts.lake import ACCOUNT_DAILY, BRONZE, DUPLICATES, QUARANTINE, SILVER
from app.errors import ErasureRefused, LakeBusy, LakeNotFound, UsageError
from app.lake import erasures, layout, legal_holds, lock, relationships, runs
from app.lake.access import clearance
from app.settings import Settings
from pipelines import erasure, retention, subject, subject_copy, verify
from pipelines.cli import app
from pipelines.erasure import Asked, ask, carry_out
from pipelines.progress import Silent
from pipelines.query import query
from pipelines.subject import ANSWERS, PAYMENTS, person_of
from tests.support.lake import NOW, content, files_in, load, opened, rows
from tests.support.landing import csv_bytes, record, write_csv
from tests.support.old_lake import TODAY, account, booked, make
from tests.support.subjects import FakeSubjects

OLD_ONE, KEPT_ONE, ALONE, BROKEN = account(1), account(25), "990005-55555555", "990006-66666666"
OTHER_SIDE = "990002-20000041"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old lake; and a person in a file of their own, long over, and one in a record that nobody can read."""
    lake = make(tmp_path_factory.mktemp("subject"), NOW)
    landing = lake.parent / "landing"
    own = {"sort_code": ALONE[:6], "account_number": ALONE[7:]}
    write_csv(landing / "alone.csv", [booked(61, "2013-06-01", **own), booked(62, "2013-06-02", **own, counterparty_account="20000099")])
    load(landing / "alone.csv", lake, now=datetime(2013, 6, 4, 9, tzinfo=UTC))
    broken = csv_bytes([record(71)]) + b"T000072,2026-03-01T00:00:00Z,99-00-06,66666666,too,few\n"
    (landing / "broken.csv").write_bytes(broken)
    load(landing / "broken.csv", lake)
    return lake


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lake"


def about(lake: Path, identifier: str, on: date = TODAY, subjects: FakeSubjects | None = None, journal: Path | None = None) -> Asked:
    here = opened(lake)
    return ask(here, person_of(here, [identifier], subjects), on, journal, subjects)


def erased(lake: Path, identifier: str, on: date = TODAY, subjects: FakeSubjects | None = None) -> dict[str, Any]:
    return carry_out(about(lake, identifier, on, subjects), Settings(), "asked by letter", "grace", Silent(), 30, NOW + (on - TODAY))


def leofric(*words: object, answer: str = "") -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], input=answer)


def faults(lake: Path) -> list[str]:
    return [fault for verdict in verify.verify(opened(lake)) for fault in verdict.faults]


def counts(asked: Asked) -> dict[str, int]:
    return {path: table.num_rows for path, table in asked.found.rows.items() if table.num_rows}


def of_account(lake: Path, identifier: str) -> list[dict[str, Any]]:
    return [row for row in rows(lake, SILVER) if identifier in (row["payer"], row["payee"])]


def hold(lake: Path, identifier: str) -> int:
    return legal_holds.add(opened(lake).storage, Kind.ACCOUNT, identifier, "an inquiry", NOW.isoformat(), "ada").number


def holding_bytes(lake: Path, text: str) -> list[str]:
    """The files of a lake, but kept landing files, that have these bytes; of Parquet files the values count, not their encoding."""
    found = []
    for name in files_in(lake):
        path = lake / name
        data = repr(pq.ParquetFile(path).read().to_pylist()).encode() if name.endswith(".parquet") and "_delta_log" not in name else b""
        if text.encode() in data + path.read_bytes() and not name.startswith(layout.KEPT_FILES):
            found.append(name)
    return found


def test_what_is_held_is_found_in_every_table_and_by_either_side(lake: Path) -> None:
    assert counts(about(lake, OLD_ONE)) == {SILVER.path: 1, BRONZE.path: 2, DUPLICATES.path: 1, ACCOUNT_DAILY.path: 1}
    other = about(lake, OTHER_SIDE)
    assert counts(other) == {SILVER.path: 1, BRONZE.path: 1}
    assert {one.side.value for one in other.held if one.table == SILVER.path} == {"other side"}


def test_however_the_number_is_written_it_is_the_same_person(lake: Path) -> None:
    assert counts(about(lake, "99-00-01 1000 0001")) == counts(about(lake, OLD_ONE))


def test_a_record_that_nobody_could_read_is_found_by_its_bytes_and_hidden_by_its_place(lake: Path) -> None:
    asked = about(lake, BROKEN)
    assert counts(asked) == {QUARANTINE.path: 1}
    assert asked.decision is not None
    assert asked.decision.until == date(2036, 3, 4)
    erased(lake, BROKEN)
    sql = "select raw_record from quarantine_transactions where record_number = 2"
    (row,) = query(opened(lake), sql, clearance(opened(lake), "anybody")).to_pylist()
    assert row["raw_record"] is None


def test_an_unknown_person_and_a_wrong_number_are_errors(lake: Path) -> None:
    with pytest.raises(LakeNotFound, match="holds nothing on this person"):
        about(lake, "990009-99999999")
    ran = leofric("subject", "show", "990009-99999999", "--lake", lake)
    assert (ran.exit_code, "holds nothing" in ran.stderr) == (1, True)
    ran = leofric("subject", "show", "9900", "--lake", lake)
    assert (ran.exit_code, "4 digits" in ran.stderr) == (2, True)
    assert leofric("subject", "erase", "990009-99999999", "--why", "asked", "--yes", "--lake", lake).exit_code == 1


def test_the_copy_has_the_persons_rows_and_nobody_elses_number(lake: Path) -> None:
    said = leofric("subject", "show", OLD_ONE, "--records", "--json", "--lake", lake)
    assert said.exit_code == 0, said.output
    shown = json.loads(said.stdout)
    (payment,) = shown["records"][SILVER.path]
    assert (payment["account_number"], payment["counterparty_account"], payment["description"]) == ("10000001", STARS, "payment 1")
    assert len(shown["records"][BRONZE.path]) == 2
    assert "20000001" not in said.stdout
    assert shown["if_erased"]["outcome"] == "part"
    assert leofric("subject", "show", OLD_ONE, "--records", "--lake", lake).exit_code == 2


def test_in_texts_of_the_copy_others_numbers_are_stars_and_the_persons_are_not(lake: Path) -> None:
    person = about(lake, OLD_ONE).person
    text = "from 990001-10000001 to 990002-20000001, IBAN DE89370400440532013000, invoice 12"
    assert subject_copy.masked(text, person) == f"from 990001-10000001 to {STARS}, IBAN {STARS}, invoice 12"


def test_to_look_is_written_down_without_the_number_and_shown_to_who_looks_later(lake: Path) -> None:
    for _ in range(2):
        ran = leofric("subject", "show", OLD_ONE, "--json", "--lake", lake)
    (before,) = json.loads(ran.stdout)["looked_at"]
    assert (before["what"], before["result"]) == ("view", "succeeded")
    assert before["object"] == about(lake, OLD_ONE).person.name
    leofric("subject", "show", "990009-99999999", "--lake", lake)
    assert not [name for name in holding_bytes(lake, "990009-99999999") if "audit" in name]
    assert not [name for name in holding_bytes(lake, OLD_ONE) if "audit" in name]


def test_the_services_journal_is_looked_through(lake: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    for kind in ("payments", "decisions"):
        (journal / kind).mkdir(parents=True)
    lines = [booked(81, "2026-03-01", account_number="77777777"), booked(82, "2026-03-01")]
    (journal / "payments/a.ndjson").write_text("".join(json.dumps(one) + "\n" for one in lines) + '{"half')
    (journal / "decisions/a.ndjson").write_text(json.dumps({"transaction_id": "T000081", "at": "2026-03-01T10:00:00", "answer": {}}) + "\n")
    asked = about(lake, "990001-77777777", journal=journal)
    assert {name: len(found) for name, found in asked.found.lines.items()} == {PAYMENTS: 1, ANSWERS: 1}
    assert asked.decision is not None
    assert (asked.decision.outcome.value, asked.decision.until) == ("restrict", date(2036, 3, 1))


def test_what_is_due_goes_others_payments_stay_and_all_certificates_hold(lake: Path) -> None:
    before = rows(lake, SILVER)
    done = erased(lake, OLD_ONE)
    assert done["decision"]["outcome"] == "part"
    assert [row for row in before if row not in rows(lake, SILVER)] == [row for row in before if row["payer"] == OLD_ONE]
    assert not [row for row in rows(lake, BRONZE) if row["account_number"] == OLD_ONE[7:]]
    assert rows(lake, DUPLICATES) == []
    assert holding_bytes(lake, OLD_ONE[7:]) == []
    assert faults(lake) == []


def test_the_bytes_that_stay_beside_others_records_are_said_and_go_with_the_sweep(lake: Path) -> None:
    done = erased(lake, OLD_ONE)
    (kept,) = done["facts"]["kept"]
    assert (kept["table"], kept["rows"]) == ("bronze/files", 2)
    again = about(lake, OLD_ONE)
    assert [(one.table, one.rows) for one in again.held] == [("bronze/files", 2)]
    assert again.settled is not None


def test_a_person_in_a_file_of_their_own_is_erased_with_the_file(lake: Path) -> None:
    (sha256,) = {row["source_sha256"] for row in of_account(lake, ALONE)}
    done = erased(lake, ALONE)
    assert (done["decision"]["outcome"], done["facts"]["kept"]) == ("erase", [])
    assert not (lake / layout.kept_file(sha256)).exists()
    assert holding_bytes(lake, ALONE[7:]) == []
    assert faults(lake) == []
    again = erased(lake, ALONE)
    assert (again["already"], again["decision"]) == (True, done["decision"])


def test_what_must_be_kept_is_restricted_with_the_law_and_asked_again_it_says_so(lake: Path) -> None:
    before = content(lake)
    done = erased(lake, KEPT_ONE)
    assert (done["decision"]["outcome"], done["decision"]["until"]) == ("restrict", "2028-06-01")
    assert done["decision"]["reasons"][0]["article"] == "regulation 40(2) to (5)"
    assert any("2028-06-01" in line for line in done["letter"])
    assert content(lake) == before
    again = erased(lake, KEPT_ONE)
    assert (again["already"], again["decision"]["number"]) == (True, 1)
    assert len(erasures.decisions(opened(lake).storage)) == 1


def test_a_restricted_person_is_seen_by_no_role_and_others_are_and_the_record_names_nobody(lake: Path) -> None:
    erased(lake, KEPT_ONE)
    here = opened(lake)
    sql = "select account_number, description from silver_transactions where booking_date = '2018-06-01' order by record_number"
    for roles in ([Role.REVIEWER], [Role.ANALYST, Role.APPROVER]):
        seen = Clearance(visible(roles), here.key, erasures.restricted(here.storage))
        first, second, *_ = query(here, sql, seen).to_pylist()
        assert (first["account_number"], first["description"]) == (STARS, STARS)
        assert second["account_number"] == "10000026"
        count = "select count(*) as n from silver_transactions where account_number = '10000025'"
        assert query(here, count, seen).to_pylist() == [{"n": 0}]
        assert query(here, "select account_number as a from silver_transactions limit 100", seen).to_pylist().count({"a": STARS}) == 1
    assert counts(about(lake, KEPT_ONE))[SILVER.path] == 1
    assert not [name for name in holding_bytes(lake, KEPT_ONE[7:]) if name.startswith("_leofric") or "audit" in name]


def test_a_restriction_ends_when_the_time_is_over_and_the_rest_is_erased(lake: Path) -> None:
    table = f"account,kind,ended_on\n{ALONE},customer,2022-03-04\n".encode()
    relationships.keep(opened(lake).storage, table, date(2013, 1, 1), NOW)
    on = date(2020, 1, 1)
    done = erased(lake, ALONE, on)
    assert (done["decision"]["outcome"], done["decision"]["until"]) == ("restrict", "2023-06-02")
    assert erasures.restricted(opened(lake).storage)
    assert [one["due"] for one in erasure.listed(opened(lake).storage, date(2023, 6, 1))] == [False]
    (listed,) = erasure.listed(opened(lake).storage, date(2023, 6, 2))
    assert (listed["restricted"], listed["due"]) == (True, True)
    assert erased(lake, ALONE)["decision"]["outcome"] == "erase"
    assert not erasures.restricted(opened(lake).storage)
    assert [(one["outcome"], one["restricted"], one["due"]) for one in erasure.listed(opened(lake).storage, TODAY)] == [
        ("restrict", False, False), ("erase", False, False),
    ]  # fmt: skip
    assert faults(lake) == []


def test_a_hold_stops_it_until_it_is_released(lake: Path) -> None:
    number = hold(lake, ALONE)
    done = erased(lake, ALONE)
    assert (done["decision"]["outcome"], done["decision"]["holds"], done["decision"]["until"]) == ("restrict", [number], None)
    assert not any("inquiry" in line or "hold" in line for line in done["letter"])
    assert len(of_account(lake, ALONE)) == 2
    legal_holds.release(opened(lake).storage, number, "it is over", NOW.isoformat(), "grace")
    assert erased(lake, ALONE)["decision"]["outcome"] == "erase"
    assert of_account(lake, ALONE) == []


def test_a_decision_that_a_dead_process_did_not_write_is_written_when_it_is_asked_again(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(erasures, "decide", dies)
    with pytest.raises(KeyboardInterrupt):
        erased(lake, ALONE)
    monkeypatch.undo()
    assert erasures.decisions(opened(lake).storage) == []
    done = erased(lake, ALONE)
    assert (done["already"], done["decision"]["outcome"]) == (False, "erase")
    assert done["decision"]["run_id"] == json.loads(rows_of_runs(lake)[-1])["run_id"]


def rows_of_runs(lake: Path) -> list[str]:
    return [row["certificate"] for row in runs.runs(opened(lake))]


def test_who_holds_the_lake_comes_first_and_nothing_is_decided(lake: Path) -> None:
    before = content(lake)
    with lock.hold(opened(lake).storage, "somebody"):
        for identifier in (ALONE, KEPT_ONE):
            with pytest.raises(LakeBusy):
                erased(lake, identifier)
        assert leofric("subject", "erase", ALONE, "--why", "asked", "--yes", "--lake", lake).exit_code == 1
    assert content(lake) == before
    assert erasures.decisions(opened(lake).storage) == []


def test_of_two_who_erase_at_once_the_second_is_told(lake: Path) -> None:
    second = about(lake, ALONE)
    erased(lake, ALONE)
    with pytest.raises(ErasureRefused, match="gone meanwhile"):
        carry_out(second, Settings(), "asked by letter", "ada", Silent(), now=NOW)
    assert len(erasures.decisions(opened(lake).storage)) == 1
    assert faults(lake) == []


def test_in_a_sealed_lake_the_key_is_destroyed_no_table_changes_and_the_record_counts_nothing(lake: Path) -> None:
    before, keys = content(lake), FakeSubjects({ALONE, OLD_ONE})
    done = erased(lake, ALONE, subjects=keys)
    assert (done["decision"]["outcome"], done["decision"]["by_key"], keys.destroyed) == ("erase", True, [ALONE])
    assert content(lake) == before
    assert any("until 2026-04-08 at the latest" in line for line in done["letter"])
    assert "2013" not in (lake / layout.erasure(1)).read_text()
    again = erased(lake, ALONE, subjects=keys)
    assert (again["already"], again["decision"]["by_key"]) == (True, True)


def test_in_a_sealed_lake_a_part_is_deleted_and_the_key_stays_and_restrictions_go_with_it(lake: Path) -> None:
    keys = FakeSubjects({ALONE})
    (lake.parent / "landing/late.csv").write_bytes(csv_bytes([booked(63, "2026-03-01", sort_code=ALONE[:6], account_number=ALONE[7:])]))
    load(lake.parent / "landing/late.csv", lake)
    done = erased(lake, ALONE, subjects=keys)
    assert (done["decision"]["outcome"], done["decision"]["until"], keys.destroyed) == ("part", "2036-03-01", [])
    assert [row["booking_date"].year for row in of_account(lake, ALONE)] == [2026]
    assert erasures.restricted(opened(lake).storage)
    assert erased(lake, ALONE, date(2036, 3, 2), keys)["decision"]["by_key"]
    assert keys.destroyed == [ALONE]
    assert not erasures.restricted(opened(lake).storage)


def test_a_key_is_not_destroyed_if_a_hold_came_meanwhile(lake: Path) -> None:
    keys = FakeSubjects({ALONE})
    asked = about(lake, ALONE, subjects=keys)
    hold(lake, ALONE)
    with pytest.raises(ErasureRefused, match="nothing was destroyed"):
        carry_out(asked, Settings(), "asked by letter", "grace", Silent(), now=NOW)
    assert keys.destroyed == []
    assert erasures.decisions(opened(lake).storage) == []


def test_the_command_asks_first_decides_and_lists(lake: Path) -> None:
    before = content(lake)
    no = leofric("subject", "erase", ALONE, "--why", "asked by letter", "--lake", lake, answer="n\n")
    assert (no.exit_code, "no clock asks for any of" in no.output) == (1, True)
    assert leofric("subject", "erase", ALONE, "--why", "asked", "--json", "--lake", lake).exit_code == 2
    named = leofric("subject", "erase", ALONE, "--why", "55555555 asked", "--yes", "--lake", lake)
    assert (named.exit_code, "must name nobody" in named.stderr.replace("\n", " ")) == (2, True)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert leofric("subject", "erase", ALONE, "--why", "asked", "--yes", "--on", tomorrow, "--lake", lake).exit_code == 2
    assert content(lake) == before
    done = leofric("subject", "erase", ALONE, "--why", "asked by letter", "--lake", lake, answer="y\n")
    assert done.exit_code == 0, done.output
    assert "Facts for the letter" in done.stdout
    (one,) = json.loads(leofric("subject", "list", "--json", "--lake", lake).stdout)
    assert (one["outcome"], one["why"], one["restricted"], one["due"]) == ("erase", "asked by letter", False, False)
    assert "0 people are restricted" in leofric("subject", "list", "--lake", lake).stdout


def test_a_reason_is_needed_and_names_nobody(lake: Path) -> None:
    person = about(lake, ALONE).person
    for why in (" ", "account 5555 5555 asked", ALONE):
        with pytest.raises(UsageError):
            erasure.checked_why(why, person)
    assert erasure.checked_why("letter of 4 March", person) == "letter of 4 March"


def test_nothing_goes_that_a_sweep_of_that_day_would_keep(lake: Path) -> None:
    """Whoever is asked about, on whatever day, with whatever relationships and holds: a limit makes nothing due."""
    chance, people = random.Random(5), [OLD_ONE, account(2), account(21), ALONE, "990002-20000001"]
    here = opened(lake)
    kinds = [f"{one},{chance.choice(['customer', 'occasional'])},{chance.choice(['', '2014-12-31', '2019-05-05'])}" for one in people[:4]]
    relationships.keep(here.storage, "\n".join(["account,kind,ended_on", *kinds, ""]).encode(), date(2013, 1, 1), NOW)
    hold(lake, account(2))
    legal_holds.add(here.storage, Kind.PERIOD, "2013-06-02/2013-06-02", "an inquiry", NOW.isoformat(), "ada")
    some = 0
    for on in (date(2018, 6, 3), date(2020, 1, 1), TODAY, date(2028, 6, 2)):
        rests_on = retention.basis(here, on)
        whole = cuts(retention.select(here, rests_on))
        for one in people:
            limited = cuts(retention.select(here, rests_on, subject.find(here, person_of(here, [one], None)).only()))
            assert limited <= whole, (on, one)
            some += len(limited)
    assert some > 12


def cuts(selection: retention.Selection) -> set[tuple[str, str, int]]:
    """Table, file and row of all that goes; no row is named twice."""
    found = [(cut.part.contract.path, cut.part.path, row) for cut in selection.cuts for row in np.flatnonzero(cut.going).tolist()]
    assert len(found) == len(set(found))
    return set(found)
