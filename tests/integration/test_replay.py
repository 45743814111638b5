"""Replay: what reviewers approved goes through the functions of a load, and every record and penny of it is counted."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.compliance.corrections import Item, State, standings
from app.contracts.lake import AUDIT, BRONZE, CORRECTIONS, DUPLICATES, QUARANTINE, SILVER
from app.contracts.landing import VERSIONS
from app.contracts.table import TableContract
from app.errors import LakeBusy, ReviewRefused
from app.lake import layout, lock
from app.review import corrections
from app.review.corrections import Chosen
from app.settings import Settings
from pipelines import publish, verify
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.lake import NOW, load, opened, rows
from tests.support.landing import csv_bytes, record, records, write_csv
from tests.support.review import ADA, GRACE, alerts_of, approve, correct, items_of, propose, replayed, said
from tests.support.tampering import Tampering, double_a_row, drop_a_row, move_a_penny

SMALL = Settings(unit_bytes=4_000, block_bytes=1_500, unit_rows=3, block_rows=2, silver_file_rows=60, key_partition_rows=60)


def faults(lake: Path) -> list[str]:
    return [fault for verdict in verify.verify(opened(lake)) for fault in verdict.faults]


@pytest.fixture
def truth() -> list[dict[str, str]]:
    return records(1, 40)


@pytest.fixture
def lake(tmp_path: Path, truth: list[dict[str, str]]) -> Path:
    """Forty records of one file: numbers 3 and 7 have wrong sort codes, 11 an amount and a currency, 40 was cut off."""
    wrong = list(truth)
    for number, values in ((3, {"sort_code": "12345"}), (7, {"sort_code": "12345"}), (11, {"amount": "1,2", "currency": "gbp"})):
        wrong[number - 1] = truth[number - 1] | values
    data = csv_bytes(wrong)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.csv").write_bytes(data[: data.rindex(b",GB,")])
    load(tmp_path / "landing", tmp_path / "lake")
    assert sorted(items_of(tmp_path / "lake")) == [3, 7, 11, 40]
    return tmp_path / "lake"


def right(truth: list[dict[str, str]], number: int) -> dict[str, str]:
    """What puts one of the records right."""
    names = {3: ["sort_code"], 7: ["sort_code"], 11: ["amount", "currency"], 40: VERSIONS[1]}[number]
    return {name: truth[number - 1][name] for name in names}


def test_what_was_corrected_is_in_silver_as_if_it_had_come_so(lake: Path, truth: list[dict[str, str]], tmp_path: Path) -> None:
    before = {contract.path: rows(lake, contract) for contract in (BRONZE, QUARANTINE)}
    correct(lake, {item: right(truth, number) for number, item in items_of(lake).items()})
    certificate = replayed(lake, SMALL)
    write_csv(tmp_path / "right/a.csv", truth)
    load(tmp_path / "right", tmp_path / "expected")
    assert said(lake) == said(tmp_path / "expected")
    assert {row["record_number"] for row in rows(lake, SILVER)} == set(range(1, 41))
    assert {contract.path: rows(lake, contract) for contract in (BRONZE, QUARANTINE)} == before
    assert certificate["totals"]["records"] == certificate["totals"]["accepted"] == 4
    assert faults(lake) == []


def test_the_certificate_counts_what_it_took_by_reason_and_by_currency_before_and_after(lake: Path, truth: list[dict[str, str]]) -> None:
    items = items_of(lake)
    correct(lake, {items[3]: right(truth, 3), items[7]: {"sort_code": "99"}, items[11]: right(truth, 11)})
    certificate = replayed(lake)
    assert certificate["corrected"]["by_reason"] == {"amount_format": 1, "currency_format": 1, "sort_code_format": 2}
    minor = {number: round(100 * float(truth[number - 1]["amount"])) for number in (3, 7, 11)}
    amounts = {"GBP": {"before": minor[3] + minor[7], "after": sum(minor.values())}}
    assert certificate["corrected"]["amount_minor"] == amounts
    (file,) = certificate["files"]
    assert [file[name] for name in ("status", "records", "accepted", "quarantined", "duplicates")] == ["replayed", 3, 2, 1, 0]
    assert file["amount_minor"]["GBP"] == {
        "source": sum(minor.values()), "accepted": minor[3] + minor[11], "quarantined": minor[7], "duplicates": 0
    }  # fmt: skip
    assert certificate["totals"]["by_reason"] == {"sort_code_format": 1}
    assert faults(lake) == []


def test_what_still_fails_is_open_again_and_knows_why(lake: Path) -> None:
    item = items_of(lake)[7]
    correct(lake, {item: {"sort_code": "99"}})
    replayed(lake)
    standing = standings(corrections.decisions(opened(lake)))[item]
    assert standing.state is State.OPEN
    assert standing.returned is not None
    assert standing.returned.reasons == ("sort_code_format",)
    assert len(rows(lake, QUARANTINE)) == 4
    correct(lake, {item: {"sort_code": "990001"}})
    assert replayed(lake)["totals"]["accepted"] == 1
    assert faults(lake) == []


def test_a_corrected_record_that_silver_has_already_is_a_duplicate_and_one_that_contradicts_it_is_returned(
    lake: Path, truth: list[dict[str, str]]
) -> None:
    items = items_of(lake)
    correct(lake, {items[40]: truth[0], items[3]: right(truth, 3) | {"transaction_id": truth[4]["transaction_id"]}})
    certificate = replayed(lake)
    assert [certificate["totals"][side] for side in ("accepted", "duplicates", "quarantined")] == [0, 1, 1]
    assert certificate["totals"]["by_reason"] == {"transaction_id_conflict": 1}
    assert [row["record_number"] for row in rows(lake, DUPLICATES)] == [40]
    assert faults(lake) == []


def test_what_a_source_declared_holds_for_its_corrected_records_too(tmp_path: Path) -> None:
    rows_ = [record(n, timestamp=f"2026-01-{n:02d}T10:00:00", amount="1.234,56-") for n in range(1, 6)]
    write_csv(tmp_path / "landing/a.csv", [rows_[0] | {"country": "UK"}, *rows_[1:]])
    load(tmp_path / "landing", tmp_path / "lake", zones=("Europe/London",), amounts=("1.234,56-",))
    correct(tmp_path / "lake", {items_of(tmp_path / "lake")[1]: {"country": "GB"}})
    certificate = replayed(tmp_path / "lake")
    assert certificate["totals"]["accepted"] == 1
    assert {row["amount_minor"] for row in rows(tmp_path / "lake", SILVER)} == {-123456}
    assert faults(tmp_path / "lake") == []


def test_an_empty_replay_is_refused_and_leaves_nothing_but_an_audit_entry(lake: Path, truth: list[dict[str, str]]) -> None:
    def files() -> list[Path]:
        return sorted(path for path in lake.rglob("*") if path.is_file() and "audit" not in str(path.relative_to(lake)))

    propose(lake, {items_of(lake)[3]: right(truth, 3)})
    before = files()
    with pytest.raises(ReviewRefused, match="no correction is approved"):
        replayed(lake)
    assert files() == before
    assert sorted((row["action"], row["result"]) for row in rows(lake, AUDIT) if row["result"] != "succeeded") == [("run", "failed")]


def test_a_record_that_was_replayed_or_left_out_is_closed(lake: Path, truth: list[dict[str, str]]) -> None:
    items = items_of(lake)
    correct(lake, {items[3]: right(truth, 3)})
    correct(lake, {items[7]: None})
    replayed(lake)
    for number in (3, 7):
        with pytest.raises(ReviewRefused, match="it is closed: it cannot be proposed; nothing was changed"):
            propose(lake, {items[number]: {"country": "FR"}})
    with pytest.raises(ReviewRefused, match="no correction is approved"):
        replayed(lake)
    assert faults(lake) == []


def test_of_two_reviewers_at_once_one_is_refused_and_nothing_is_changed(lake: Path, truth: list[dict[str, str]]) -> None:
    item = items_of(lake)[3]
    proposal = propose(lake, {item: right(truth, 3)})
    with lock.hold(opened(lake).storage, "another"), pytest.raises(LakeBusy):
        approve(lake, proposal)
    assert len(rows(lake, CORRECTIONS)) == 1
    approve(lake, proposal)
    with pytest.raises(ReviewRefused, match=f"proposal {proposal} has no record that waits"):
        approve(lake, proposal)
    with pytest.raises(ReviewRefused, match="is approved already"):
        corrections.approve(opened(lake), Chosen((item,)), replace(GRACE, who="joan"))
    assert len(rows(lake, CORRECTIONS)) == 2


def test_one_record_that_cannot_be_decided_spoils_the_whole_decision(lake: Path, truth: list[dict[str, str]]) -> None:
    items = items_of(lake)
    propose(lake, {items[3]: right(truth, 3)})
    with pytest.raises(ReviewRefused, match="waits for approval"):
        propose(lake, {items[3]: right(truth, 3), items[7]: right(truth, 7)})
    with pytest.raises(ReviewRefused, match="is open: nothing is proposed"):
        corrections.approve(opened(lake), Chosen((items[3], items[7])), GRACE)
    with pytest.raises(ReviewRefused, match="say why"):
        corrections.approve(opened(lake), Chosen((items[3],)), replace(GRACE, why=" "))
    with pytest.raises(ReviewRefused, match="is in quarantine"):
        propose(lake, {Item("0" * 64, 1): {"country": "FR"}})
    assert [row["record_number"] for row in rows(lake, CORRECTIONS)] == [3]


def test_many_decisions_do_not_lie_in_a_file_each(lake: Path, truth: list[dict[str, str]]) -> None:
    item = items_of(lake)[3]
    for _ in range(12):
        proposal = propose(lake, {item: right(truth, 3)})
        corrections.reject(opened(lake), Chosen(proposal=proposal), ADA)
    assert len(rows(lake, CORRECTIONS)) == 24
    assert len(opened(lake).table(CORRECTIONS).file_uris()) < 16


def test_a_reviewer_who_died_between_file_and_commit_has_decided_nothing_and_the_next_leaves_no_trace_of_it(
    lake: Path, truth: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = items_of(lake)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.lake.delta.commit", dies)
        with pytest.raises(KeyboardInterrupt):
            propose(lake, {items[3]: right(truth, 3)})
    assert rows(lake, CORRECTIONS) == []
    propose(lake, {items[7]: right(truth, 7)})
    assert [row["record_number"] for row in rows(lake, CORRECTIONS)] == [7]
    assert len(list((lake / CORRECTIONS.path).glob("*.parquet"))) == 1


def test_while_a_dead_run_is_not_made_good_nobody_decides(lake: Path, truth: list[dict[str, str]]) -> None:
    publish.begin(opened(lake), "20260304T090000Z-dead0000")
    with pytest.raises(LakeBusy, match="died before its end"):
        propose(lake, {items_of(lake)[3]: right(truth, 3)})
    assert rows(lake, CORRECTIONS) == []


def test_a_lake_of_an_older_version_gets_the_table_with_the_first_decision(lake: Path, truth: list[dict[str, str]]) -> None:
    shutil.rmtree(lake / CORRECTIONS.path)
    identity = json.loads((lake / layout.IDENTITY).read_text())
    identity["tables"].remove(CORRECTIONS.path)
    (lake / layout.IDENTITY).write_text(json.dumps(identity))
    assert faults(lake) == []
    correct(lake, {items_of(lake)[3]: right(truth, 3)})
    assert replayed(lake)["totals"]["accepted"] == 1


def test_decisions_that_cannot_have_been_made_stop_no_load_but_are_never_replayed(
    lake: Path, truth: list[dict[str, str]], tmp_path: Path
) -> None:
    approve(lake, propose(lake, {items_of(lake)[3]: right(truth, 3)}))
    _rewrite(lake, CORRECTIONS, lambda old: [row | {"who": "ada"} for row in old])
    write_csv(tmp_path / "more/b.csv", records(50, 60))
    assert load(tmp_path / "more", lake)["status"] == "succeeded"
    with pytest.raises(ReviewRefused, match="cannot approve it"):
        replayed(lake)


def test_a_payment_that_comes_by_a_replay_is_scored_as_if_it_had_come_with_the_others(
    lake: Path, truth: list[dict[str, str]], tmp_path: Path
) -> None:
    write_csv(tmp_path / "right/a.csv", truth)
    load(tmp_path / "right", tmp_path / "expected")
    for one in (lake, tmp_path / "expected"):
        put_into_use(one)
        score(opened(one).storage, Settings(), InProcess(), Silent(), NOW)
    correct(lake, {item: right(truth, number) for number, item in items_of(lake).items()})
    replay_of = replayed(lake)["run_id"]
    scored = score(opened(lake).storage, Settings(), InProcess(), Silent(), NOW)
    assert list(scored["scored"]) == [replay_of]
    assert said(lake) == said(tmp_path / "expected")
    expected, found = alerts_of(tmp_path / "expected"), alerts_of(lake)
    assert all(evidence <= found[alert] for alert, evidence in expected.items())
    assert faults(lake) == []


@pytest.mark.parametrize("tamper", [drop_a_row, double_a_row, move_a_penny], ids=lambda value: getattr(value, "__name__", ""))
def test_a_replay_that_does_not_reconcile_publishes_nothing_and_can_be_done_again(
    lake: Path, truth: list[dict[str, str]], tamper: Any
) -> None:
    correct(lake, {items_of(lake)[3]: right(truth, 3)})
    certificate = replayed(lake, executor=Tampering(lake, tamper))
    assert (certificate["status"], len(rows(lake, SILVER)), len(rows(lake, CORRECTIONS))) == ("failed", 36, 2)
    assert faults(lake) == []
    assert replayed(lake)["totals"]["accepted"] == 1
    assert faults(lake) == []


def _rewrite(lake: Path, contract: TableContract, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Replace the rows of the table's newest file, as somebody would who wants to hide something: in place, and in the log."""
    folder = lake / contract.path
    table = opened(lake).table(contract)
    newest = max(pa.table(table.get_add_actions())["path"].to_pylist(), key=lambda path: (folder / path).stat().st_mtime_ns)
    old = pq.ParquetFile(folder / newest).read()
    size = (folder / newest).stat().st_size
    pq.write_table(pa.Table.from_pylist(change(old.to_pylist()), old.schema), folder / newest)
    for log in (folder / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace(f'"size":{size},', f'"size":{(folder / newest).stat().st_size},'))


@pytest.mark.parametrize(
    ("contract", "change", "said_of_it"),
    [
        (SILVER, lambda old: [old[0] | {"amount_minor": old[0]["amount_minor"] + 1}, *old[1:]], "minor units of GBP were accepted"),
        (SILVER, lambda old: old[1:], "is in no table"),
        (QUARANTINE, lambda old: [row for row in old if row["record_number"] != 3], "is not in quarantine"),
        (QUARANTINE, lambda old: [row for row in old if row["record_number"] != 7], "is in no table"),
        (QUARANTINE, lambda old: [row | {"reasons": ["country_missing"]} for row in old], "other reasons in quarantine than it counts"),
        (CORRECTIONS, lambda old: [row | {"act": "duplicate"} for row in old], "are said to be accepted"),
        (CORRECTIONS, lambda old: [row | {"who": "joan"} for row in old], "somebody has changed one"),
        (CORRECTIONS, lambda old: old[:0], "0 corrected records are said"),
    ],
    ids=[
        "a penny",
        "a row of silver",
        "an original that was replayed",
        "an original that is open",
        "reasons",
        "an outcome",
        "a name",
        "all",
    ],
)
def test_verification_finds_what_was_changed_after_a_replay(
    lake: Path, truth: list[dict[str, str]], contract: Any, change: Any, said_of_it: str
) -> None:
    items = items_of(lake)
    correct(lake, {items[3]: right(truth, 3), items[11]: right(truth, 11)})
    replayed(lake)
    assert faults(lake) == []
    _rewrite(lake, contract, change)
    found = faults(lake)
    assert found
    assert any(said_of_it in fault for fault in found), found


def test_verification_finds_an_approval_by_the_one_who_proposed(lake: Path, truth: list[dict[str, str]]) -> None:
    approve(lake, propose(lake, {items_of(lake)[3]: right(truth, 3)}))
    _rewrite(lake, CORRECTIONS, lambda old: [row | {"who": "ada"} for row in old])
    assert any("ada proposed this and cannot approve it" in fault for fault in faults(lake))


def test_the_certificate_of_a_replay_is_text_that_can_be_read_again(lake: Path, truth: list[dict[str, str]]) -> None:
    correct(lake, {items_of(lake)[40]: right(truth, 40)})
    assert json.loads(json.dumps(replayed(lake)))["corrected"]["by_reason"] == {"field_count": 1}
