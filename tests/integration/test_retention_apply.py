"""Deleting what is due: it is really gone, its certificate says so, and every other certificate still holds by record and penny."""

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import DeltaError
from typer.testing import CliRunner

from app.compliance import certificate as certificates
from app.compliance.corrections import Item
from app.compliance.legal_holds import Kind
from app.contracts.lake import ACCOUNT_DAILY, BRONZE, DUPLICATES, FEEDBACK, QUARANTINE, RUNS, SCORES, SILVER
from app.contracts.table import TableContract
from app.errors import LakeDamaged
from app.lake import delta, layout, legal_holds, relationships
from app.lake.audit import open_log
from app.lake.delta import Change
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import AuditSettings, Settings
from pipelines import plan, verify
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.feedback import import_labels
from pipelines.labels import read_labels
from pipelines.progress import Silent
from pipelines.retention_run import apply
from pipelines.run import run
from pipelines.score import nothing_to_do, score
from tests.support import s3
from tests.support.champion import put_into_use
from tests.support.killed_run import RETENTION, killed
from tests.support.lake import NOW, content, content_of, files_in, load, opened, rows
from tests.support.landing import csv_bytes, write_csv
from tests.support.old_lake import MIXED, NEW, OLD, THEN, TODAY, account, booked, make
from tests.support.review import correct, replayed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("old"), NOW)


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lake"


def deleted(lake: Path, on: date = TODAY) -> dict[str, Any] | None:
    return apply(opened(lake).storage, Settings(), "its time is over", "grace", Silent(), NOW + (on - TODAY))


def faults(lake: Path) -> list[str]:
    return [fault for verdict in verify.verify(opened(lake)) for fault in verdict.faults]


def numbers(lake: Path, contract: TableContract) -> list[tuple[str, int]]:
    return sorted((row["source_uri"].rpartition("/")[2], row["record_number"]) for row in rows(lake, contract))


def hold(lake: Path, kind: Kind, about: str) -> int:
    return legal_holds.add(opened(lake).storage, kind, about, "an inquiry", NOW.isoformat(), "ada").number


def sha256_of(lake: Path, name: str) -> str:
    return next(str(row["source_sha256"]) for row in rows(lake, BRONZE) if row["source_uri"].endswith(name))


def paths_of(lake: Path, contract: TableContract) -> set[str]:
    """The files that a table names, below it."""
    return set(pa.table(opened(lake).table(contract).get_add_actions())["path"].to_pylist())


LEFT = [(MIXED, number) for number in range(5, 11)] + [(NEW, number) for number in range(1, 11)]


def test_what_is_due_goes_and_all_certificates_still_hold(lake: Path) -> None:
    before = {contract.path: rows(lake, contract) for contract in (SILVER, BRONZE)}
    certificate = deleted(lake)
    assert certificate is not None
    assert certificate["status"] == "succeeded"
    assert numbers(lake, SILVER) == numbers(lake, BRONZE) == LEFT
    assert (rows(lake, QUARANTINE), rows(lake, DUPLICATES)) == ([], [])
    for contract in (SILVER, BRONZE):
        assert all(row in before[contract.path] for row in rows(lake, contract))
    assert faults(lake) == []


def test_the_certificate_says_by_table_and_rule_what_was_deleted_and_names_nobody(lake: Path) -> None:
    old = rows(lake, SILVER)
    certificate = deleted(lake)
    assert certificate is not None
    assert certificate["retention"]["tables"][SILVER.path] == {"must": 14, "payments_of_customers": 14, "rows": 14}
    assert [rule["name"] for rule in certificate["retention"]["rules"]] == ["business_records", "payments_of_customers"]
    gone = [one for one in certificate["deleted"]["records"] if one["side"] == "accepted"]
    assert sum(one["records"] for one in gone) == 14
    left = {(row["source_sha256"], row["record_number"]) for row in rows(lake, SILVER)}
    pence = sum(row["amount_minor"] for row in old if (row["source_sha256"], row["record_number"]) not in left)
    assert sum(one["amount_minor"]["GBP"] for one in gone) == pence
    text = json.dumps(certificate)
    assert not any(str(row[name]) in text for row in old for name in ("transaction_id", "account_number", "description"))


def test_no_file_on_disk_holds_what_was_deleted(lake: Path) -> None:
    gone = {row["transaction_id"] for row in rows(lake, SILVER) if row["booking_date"] < date(2014, 1, 1)}
    old = sha256_of(lake, OLD)
    deleted(lake)
    found = set()
    for name in files_in(lake):
        if name.endswith(".parquet") and "_delta_log" not in name:
            table = pq.ParquetFile(lake / name).read()
            found |= set(table["transaction_id"].to_pylist()) if "transaction_id" in table.column_names else set()
            assert "booking_date=2013" not in name
    assert found
    assert not found & gone
    assert not (lake / layout.kept_file(old)).exists()


def test_a_kept_file_stays_until_its_last_record_goes(lake: Path) -> None:
    mixed = sha256_of(lake, MIXED)
    deleted(lake)
    assert (lake / layout.kept_file(mixed)).exists()
    deleted(lake, date(2028, 6, 1))
    assert not (lake / layout.kept_file(mixed)).exists()
    assert numbers(lake, SILVER) == [(NEW, number) for number in range(1, 11)]
    assert faults(lake) == []


def test_a_segment_of_the_services_journal_goes_when_none_of_its_payments_is_left(lake: Path) -> None:
    segments = [lake / layout.JOURNALLED / name for name in ("old.csv", "new.csv")]
    for number, (path, day) in enumerate(zip(segments, ("2013-06-01", "2026-03-01"), strict=True), start=71):
        write_csv(path, [booked(number, day)])
        load(path, lake)
    deleted(lake)
    assert [path.exists() for path in segments] == [False, True]
    assert faults(lake) == []


def test_a_version_of_before_cannot_be_read_any_more_and_says_so(lake: Path) -> None:
    version = opened(lake).table(SILVER).version()
    deleted(lake)
    with pytest.raises((OSError, DeltaError), match=r"booking_date=2013|[Nn]ot found|No such file"):
        opened(lake).table(SILVER, version).to_pyarrow_table()


def test_a_second_run_finds_nothing_due_and_does_nothing(lake: Path) -> None:
    deleted(lake)
    before = files_in(lake)
    assert deleted(lake) is None
    assert files_in(lake) == before


def test_append_only_tables_are_so_again_afterwards(lake: Path) -> None:
    deleted(lake)
    for contract in (BRONZE, DUPLICATES):
        assert opened(lake).table(contract).metadata().configuration["delta.appendOnly"] == "true"


def test_it_is_in_the_audit_trail_with_who_and_why(lake: Path) -> None:
    certificate = deleted(lake)
    assert certificate is not None
    (entry,) = [one for one in open_log(opened(lake), AuditSettings()).entries() if one.action == "retention.apply"]
    assert (entry.object, entry.reason, entry.result) == (certificate["run_id"], "its time is over", "succeeded")
    said = json.loads(entry.details)["retention"]
    assert said["tables"][SILVER.path]["rows"] == 14
    assert "kept_files" not in said


def leofric(*words: object, answer: str = "") -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], input=answer)


def test_the_command_asks_first_and_without_a_yes_nothing_goes(lake: Path) -> None:
    before = content(lake)
    asked = leofric("retention", "apply", "--lake", lake, "--why", "its time is over", answer="n\n")
    assert asked.exit_code == 1
    assert "must go" in asked.output
    assert leofric("retention", "apply", "--lake", lake, "--why", "its time is over", "--json").exit_code == 2
    assert content(lake) == before


def test_the_command_deletes_and_tells_lineage_and_then_finds_nothing_due(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEOFRIC_OPENLINEAGE_FILE", str(lake.parent / "events.ndjson"))
    done = leofric("retention", "apply", "--lake", lake, "--why", "its time is over", "--yes")
    assert done.exit_code == 0, done.output
    assert "regulation 40" in done.output
    events = [json.loads(line) for line in (lake.parent / "events.ndjson").read_text().splitlines()]
    assert events[-1]["eventType"] == "COMPLETE"
    assert events[-1]["job"]["name"].endswith("retention")
    again = leofric("retention", "apply", "--lake", lake, "--why", "its time is over", "--yes")
    assert "Nothing is due" in again.output


def test_what_is_held_stays_row_by_row_until_the_hold_is_released(lake: Path) -> None:
    number = hold(lake, Kind.ACCOUNT, account(2))
    deleted(lake)
    assert numbers(lake, SILVER) == sorted([*LEFT, (OLD, 2)])
    assert numbers(lake, BRONZE) == sorted([*LEFT, (OLD, 2), (OLD, 12)])
    assert numbers(lake, QUARANTINE) == [(OLD, 12)]
    assert {f"{row['sort_code']}-{row['account_number']}" for row in rows(lake, ACCOUNT_DAILY) if row["booking_date"].year == 2013} == {
        account(2)
    }
    assert faults(lake) == []
    legal_holds.release(opened(lake).storage, number, "it is over", NOW.isoformat(), "grace")
    deleted(lake)
    assert numbers(lake, SILVER) == LEFT
    assert faults(lake) == []


def test_one_customers_payments_go_and_everybody_elses_of_the_same_files_stay(lake: Path) -> None:
    on = date(2020, 1, 1)
    table = f"account,kind,ended_on\n{account(1)},customer,2014-12-31\n".encode()
    relationships.keep(opened(lake).storage, table, date(2019, 1, 1), NOW)
    before = numbers(lake, SILVER)
    deleted(lake, on)
    assert numbers(lake, SILVER) == [one for one in before if one != (OLD, 1)]
    assert (OLD, 1) not in numbers(lake, BRONZE)
    assert (OLD, 11) not in numbers(lake, BRONZE)  # it repeated the first
    assert rows(lake, DUPLICATES) == []
    assert faults(lake) == []


def test_nothing_comes_back_a_known_file_is_known_and_a_known_payment_a_duplicate(lake: Path) -> None:
    deleted(lake)
    landing = lake.parent / "landing"
    (again,) = load(landing / OLD, lake)["files"]
    assert again["status"] == "already_loaded"
    assert not (lake / layout.kept_file(again["sha256"])).exists()
    (landing / "again.csv").write_bytes(csv_bytes([booked(1, "2013-06-02")]))
    assert load(landing / "again.csv", lake)["totals"]["duplicates"] == 1
    assert numbers(lake, SILVER) == LEFT
    assert faults(lake) == []


def test_scores_and_feedback_go_with_their_payments_and_later_scoring_reconciles(lake: Path) -> None:
    put_into_use(lake)
    score(opened(lake).storage, Settings(), InProcess(), Silent(), NOW)
    (lake.parent / "labels.csv").write_text("transaction_id,is_suspicious\nT000001,1\nT000041,0\n")
    import_labels(opened(lake).storage, Settings(), read_labels(lake.parent / "labels.csv"), "0" * 64, "ada", Silent(), NOW)
    deleted(lake)
    assert {row["transaction_id"] for row in rows(lake, SCORES)} == {row["transaction_id"] for row in rows(lake, SILVER)}
    assert [row["transaction_id"] for row in rows(lake, FEEDBACK)] == ["T000041"]
    assert faults(lake) == []
    assert nothing_to_do(opened(lake).storage)


def test_payments_that_wait_for_a_score_get_it_though_others_of_their_run_were_deleted(lake: Path) -> None:
    hold(lake, Kind.ACCOUNT, account(2))  # a file is written anew while it waits
    deleted(lake)
    put_into_use(lake)
    certificate = score(opened(lake).storage, Settings(), InProcess(), Silent(), NOW)
    assert certificate["status"] == "succeeded"
    assert {row["transaction_id"] for row in rows(lake, SCORES)} == {row["transaction_id"] for row in rows(lake, SILVER)}
    assert faults(lake) == []
    deleted(lake, date(2028, 6, 1))
    assert faults(lake) == []


def test_a_record_about_which_somebody_decided_stays_with_its_decisions(lake: Path) -> None:
    (row,) = rows(lake, QUARANTINE)
    correct(lake, {Item(row["source_sha256"], row["record_number"]): {"sort_code": "990001"}})
    replayed(lake)
    deleted(lake)
    assert numbers(lake, SILVER) == LEFT  # the corrected payment went like all of its day
    assert numbers(lake, QUARANTINE) == [(OLD, 12)]
    assert (OLD, 12) in numbers(lake, BRONZE)
    assert (lake / layout.kept_file(row["source_sha256"])).exists()
    assert faults(lake) == []


def drop_a_row(rows_of: pa.Table) -> pa.Table:
    return rows_of.slice(1)


def double_a_row(rows_of: pa.Table) -> pa.Table:
    return pa.concat_tables([rows_of, rows_of.slice(0, 1)])


def move_a_penny(rows_of: pa.Table) -> pa.Table:
    amounts = rows_of["amount_minor"].to_pylist()
    return _with(rows_of, "amount_minor", [amounts[0] + 1, *amounts[1:]])


def rename_a_record(rows_of: pa.Table) -> pa.Table:
    record_numbers = rows_of["record_number"].to_pylist()
    return _with(rows_of, "record_number", [record_numbers[0] + 1_000, *record_numbers[1:]])


def _with(rows_of: pa.Table, name: str, values: list[Any]) -> pa.Table:
    index = rows_of.schema.get_field_index(name)
    return rows_of.set_column(index, name, pa.array(values, rows_of.schema.field(name).type))


def replace_a_file(lake: Path, contract: TableContract, part_of_its_path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """What somebody does who knows Delta Lake: no file is broken, no size is wrong."""
    path = next(name for name in sorted(paths_of(lake, contract)) if part_of_its_path in name)
    partition = dict(pair.split("=") for pair in path.split("/")[:-1])
    changed = change(pq.ParquetFile(lake / contract.path / path).read())
    staged = delta.stage(opened(lake).storage, contract, "part-forged", changed, partition, NOW)
    delta.commit(opened(lake).table(contract), contract, Change((staged,), (path,)), 99, "nobody", NOW, "somebody")


@pytest.mark.parametrize("tamper", [drop_a_row, double_a_row, move_a_penny])
def test_what_is_changed_without_a_deletion_record_is_still_found(lake: Path, tamper: Callable[[pa.Table], pa.Table]) -> None:
    deleted(lake)
    replace_a_file(lake, SILVER, "2018-06-01", tamper)
    assert faults(lake) != []


def test_a_partition_that_vanishes_without_a_deletion_record_is_found(lake: Path) -> None:
    deleted(lake)
    gone = [name for name in paths_of(lake, SILVER) if "2018-06-01" in name]
    delta.commit(opened(lake).table(SILVER), SILVER, Change((), tuple(gone)), 99, "nobody", NOW)
    assert any("record 5 is in no table" in fault for fault in faults(lake))


def test_a_row_that_vanished_before_is_not_covered_up_by_a_deletion(lake: Path) -> None:
    replace_a_file(lake, SILVER, "2013-06-02", drop_a_row)
    lost = faults(lake)
    assert lost
    deleted(lake)
    assert any("is in no table" in fault for fault in faults(lake))


@pytest.mark.parametrize("chained", [False, True])
def test_a_forged_deletion_record_is_found(lake: Path, chained: bool) -> None:
    """By the chain; and even where the forger makes the chain anew, where it does not fit what was loaded."""
    certificate = deleted(lake)
    assert certificate is not None

    def forge(table: pa.Table) -> pa.Table:
        (row,) = table.to_pylist()
        document = json.loads(row["certificate"])
        document["deleted"]["records"][0]["records"] += 1
        row["certificate"] = certificates.canonical(document)
        if chained:
            row["hash"] = certificates.chain_hash(row["previous_hash"], row["certificate"])
        return pa.Table.from_pylist([row], table.schema)

    replace_a_file(lake, RUNS, str(certificate["run_id"]), forge)
    found = faults(lake)
    assert ("its hash is not that of its text" in found) == (not chained)
    assert any("names others" in fault for fault in found)


def test_rows_that_no_certificate_has_are_not_deleted(lake: Path) -> None:
    replace_a_file(lake, SILVER, "2013-06-01", rename_a_record)
    before = content(lake)
    with pytest.raises(LakeDamaged, match="are not those that run"):
        deleted(lake)
    assert content(lake) == before


def test_what_is_written_anew_and_is_not_what_was_there_is_not_published(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(lake, Kind.ACCOUNT, account(2))
    before, stage = content(lake), delta.stage

    def spoilt(storage: Any, contract: TableContract, name: str, data: pa.Table, *others: Any) -> Any:
        return stage(storage, contract, name, data.slice(1) if contract is BRONZE else data, *others)

    monkeypatch.setattr(delta, "stage", spoilt)
    certificate = deleted(lake)
    assert certificate is not None
    assert certificate["status"] == "failed"
    assert "bronze/transactions" in certificate["error"]
    monkeypatch.undo()
    assert content(lake) == before
    assert faults(lake) == []


MOMENTS = ("begin:select", "end:rewrite", "begin:publish", *(f"write:{number}" for number in range(3, 120, 13)))


def test_killed_at_any_moment_it_is_undone_or_finished_by_the_next_run(lake: Path, tmp_path: Path) -> None:
    hold(lake, Kind.ACCOUNT, account(2))
    shutil.copytree(lake, tmp_path / "whole")
    deleted(tmp_path / "whole")
    ends: list[int | None] = []
    for moment in MOMENTS:
        broken = tmp_path / moment.replace(":", "-")
        shutil.copytree(lake, broken)
        ends.append(killed(RETENTION, broken, moment).code)
        apply(opened(broken).storage, Settings(), "its time is over", "grace", Silent(), NOW + timedelta(hours=1))
        assert content(broken) == content(tmp_path / "whole"), moment
        assert faults(broken) == [], moment
        for contract in (BRONZE, SILVER, DUPLICATES, ACCOUNT_DAILY):
            configuration = opened(broken).table(contract).metadata().configuration
            assert configuration.get("delta.appendOnly", "false") == str(contract.append_only).lower(), moment
            on_disk = {name for name in files_in(broken / contract.path) if name.endswith(".parquet") and "_delta_log" not in name}
            assert on_disk == paths_of(broken, contract), moment
        assert not list(opened(broken).storage.entries(layout.JOURNAL))
    assert set(ends) <= {-9, 0}
    assert ends.count(-9) >= 8


def test_in_s3_it_goes_as_on_a_disk(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    with s3.server(tmp_path / "s3") as options:
        storage = Storage("s3://lakes/one", options)
        for name, now in ((OLD, THEN), (MIXED, NOW), (NEW, NOW)):
            run(storage, plan.source_files([str(lake.parent / "landing" / name)], (), {}), Settings(), InProcess(), Silent(), now)
        certificate = apply(storage, Settings(), "its time is over", "grace", Silent(), NOW)
        here = deleted(lake)
        assert certificate is not None
        assert here is not None
        assert certificate["retention"]["tables"] == here["retention"]["tables"]
        assert certificate["retention"]["kept_files"] == here["retention"]["kept_files"]
        assert content_of(storage, ("source_uri",)) == content(lake, ("source_uri",))
        assert not [entry.path for entry in storage.entries() if "booking_date=2013" in entry.path]
        assert [fault for verdict in verify.verify(open_lake(storage)) for fault in verdict.faults] == []
