"""The lake as an earlier run left it: what later runs did is gone from every table, is accounted for, and can be done again."""

import json
import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from app.contracts.lake import DATA_QUALITY_DAILY, FEEDBACK, SCORES, SILVER
from app.errors import LakeBusy, LakeDamaged, LakeNotFound, NotReconciled, UsageError
from app.lake import delta, lock, runs
from app.lake.delta import Change, StagedFile
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import feedback, optimize, publish, score, vacuum, verify
from pipelines.changes import feed
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.labels import read_labels
from pipelines.progress import Silent
from pipelines.restore import restore
from tests.support.champion import put_into_use
from tests.support.lake import NOW, asked, content, load, opened, rows
from tests.support.landing import record, records, write_csv
from tests.support.tampering import drop_a_row, move_a_penny

SETTINGS = Settings(silver_file_rows=1000, key_partition_rows=40)


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def restored(lake: Path, run_id: str) -> dict[str, Any]:
    return restore(Storage(str(lake)), SETTINGS, run_id, "a wrong file", "tests", InProcess(), Silent(), NOW)


def holds(lake: Path) -> bool:
    return not any(verdict.faults for verdict in verify.verify(opened(lake)))


def scored(lake: Path) -> dict[str, Any]:
    return score.score(Storage(str(lake)), SETTINGS, InProcess(), Silent(), NOW)


def ids(lake: Path) -> list[str]:
    return [row["run_id"] for row in runs.runs(opened(lake))]


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """Four days: each has records of the day before again, one that contradicts an earlier one, and one that is quarantined."""
    for day in range(4):
        first = 1 + 9 * day
        again = [record(max(first - 1, 1)), record(max(first - 2, 1), amount="0.77")]
        write_csv(tmp_path / f"landing/{day}/a.csv", [*records(first, first + 8), *again, record(900 + day, currency="XXX")])
    return tmp_path / "landing"


def loaded(landing: Path, lake: Path, days: Iterable[int]) -> list[dict[str, Any]]:
    return [load(landing / str(day), lake, SETTINGS, now=NOW + timedelta(minutes=day)) for day in days]


def test_the_lake_is_as_the_run_left_it_and_what_was_undone_can_be_loaded_again(landing: Path, tmp_path: Path) -> None:
    lake, two = tmp_path / "lake", tmp_path / "two"
    before = loaded(landing, lake, range(4))
    loaded(landing, two, range(2))
    everything = content(lake)
    certificate = restored(lake, before[1]["run_id"])
    assert content(lake) == content(two)
    assert holds(lake)
    said = certificate["restore"]
    assert (said["to"], said["why"], said["by"], said["brought_back"]) == (before[1]["run_id"], "a wrong file", "tests", {})
    assert list(said["undone"]) == [one["run_id"] for one in before[2:]]
    for one in before[2:]:
        totals = one["totals"]
        assert {name: said["undone"][one["run_id"]][name] for name in ("records", "accepted", "quarantined", "duplicates")} == {
            name: totals[name] for name in ("records", "accepted", "quarantined", "duplicates")
        }
        assert said["undone"][one["run_id"]]["amount_minor"] == {"GBP": totals["amount_minor"]["GBP"]["accepted"]}
    again = loaded(landing, lake, range(4))
    assert [[file["status"] for file in one["files"]] for one in again] == [["already_loaded"], ["already_loaded"], ["loaded"], ["loaded"]]
    assert [one["totals"] for one in again[2:]] == [one["totals"] for one in before[2:]]
    assert content(lake) == everything
    assert holds(lake)
    assert len(ids(lake)) == 9


def test_history_keeps_what_was_undone(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(3))
    restored(lake, before[0]["run_id"])
    count = "select count(*) as n from silver_transactions"
    assert [int(asked(opened(lake), count, [run_id]).to_pylist()[0]["n"]) for run_id in ids(lake)] == [9, 18, 27, 9]
    told = pa.concat_tables(feed(opened(lake), SILVER, before[2]["run_id"], None).tables())
    assert (set(told["_change_type"].to_pylist()), told.num_rows) == ({"delete"}, 18)


def test_a_restore_can_be_undone_by_another(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(3))
    everything = content(lake)
    first = restored(lake, before[0]["run_id"])
    second = restored(lake, before[2]["run_id"])
    assert content(lake) == everything
    assert holds(lake)
    assert list(second["restore"]["brought_back"]) == [one["run_id"] for one in before[1:]]
    assert list(second["restore"]["undone"]) == [first["run_id"]]
    assert [file["status"] for one in loaded(landing, lake, range(3)) for file in one["files"]] == ["already_loaded"] * 3
    assert loaded(landing, lake, [3])[0]["totals"]["duplicates"] == 1
    assert holds(lake)


def test_an_index_whose_segments_are_gone_is_made_anew(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for day in range(18):  # the sixteenth run merges the segments of those before
        write_csv(tmp_path / f"{day}/a.csv", records(1 + 20 * day, 20 + 20 * day))
        load(tmp_path / str(day), lake, SETTINGS, now=NOW + timedelta(minutes=day))
    certificate = restored(lake, ids(lake)[9])
    old = publish.certificate_of(opened(lake), ids(lake)[9])["keys"]
    assert not {one["name"] for one in old} & {one["name"] for one in certificate["keys"]}
    assert sum(one["rows"] for one in certificate["keys"]) == len(rows(lake, SILVER)) == 200
    assert len(certificate["keys"]) > 1
    on_disk = {entry.path.rpartition("/")[2] for entry in opened(lake).storage.entries("_leofric/keys")}
    assert on_disk == {one["name"] for one in certificate["keys"]}
    write_csv(tmp_path / "again/a.csv", [*records(191, 210), record(5, amount="0.77")])
    totals = load(tmp_path / "again", lake, SETTINGS)["totals"]
    assert (totals["accepted"], totals["duplicates"], totals["by_reason"]) == (10, 10, {"transaction_id_conflict": 1})
    assert holds(lake)


def test_scores_alerts_and_decisions_of_later_runs_go_too_and_payments_wait_for_a_score_again(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(3))
    put_into_use(lake)
    labels = tmp_path / "labels.csv"
    labels.write_text("transaction_id,is_suspicious,typology\nT000001,1,mule\nT000002,0,\n")
    scored(lake)
    feedback.import_labels(opened(lake).storage, SETTINGS, read_labels(labels), "ab" * 32, "tests", Silent(), NOW)
    everything = content(lake)
    certificate = restored(lake, before[2]["run_id"])
    undone = list(certificate["restore"]["undone"].values())
    assert [(one["kind"], one["scored"], one["decisions"]) for one in undone] == [("score", 27, 0), ("feedback", 0, 2)]
    assert (rows(lake, SCORES), feedback.read_feedback(opened(lake))) == ([], None)
    assert holds(lake)
    assert score.pending(runs.runs(opened(lake))) == {one["run_id"] for one in before}
    scored(lake)
    feedback.import_labels(opened(lake).storage, SETTINGS, read_labels(labels), "ab" * 32, "tests", Silent(), NOW)
    assert {name: of for name, of in content(lake).items() if name != FEEDBACK.path} == {
        name: of for name, of in everything.items() if name != FEEDBACK.path
    }  # decisions carry the number of the run that imported them
    assert len(rows(lake, FEEDBACK)) == 2
    restored(lake, before[1]["run_id"])
    assert score.pending(runs.runs(opened(lake))) == {one["run_id"] for one in before[:2]}
    assert holds(lake)


def test_a_lake_that_was_optimized_meanwhile_goes_back_and_forth(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    two = content(lake)
    optimize.optimize(Storage(str(lake)), SETTINGS, None, "for tests", "tests", InProcess(), Silent(), NOW)
    loaded(landing, lake, [2])
    certificate = restored(lake, before[1]["run_id"])
    assert [one["accepted"] for one in certificate["restore"]["undone"].values()] == [0, 9]
    assert content(lake) == two
    assert holds(lake)
    put_into_use(lake)
    assert sum(of["records"] for of in scored(lake)["scored"].values()) == 18
    assert holds(lake)


def test_quality_counts_only_runs_that_stand(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    restored(lake, before[0]["run_id"])
    loaded(landing, lake, [1])
    (valid,) = [row for row in rows(lake, DATA_QUALITY_DAILY) if row["dimension"] == "validity"]
    assert valid["denominator"] == sum(one["totals"]["records"] for one in before)


def test_what_is_no_earlier_state_is_refused(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    everything = content(lake)
    for run_id, error, message in ((before[1]["run_id"], UsageError, "nothing to undo"), ("nobody", LakeNotFound, "has no run nobody")):
        with pytest.raises(error, match=message):
            restored(lake, run_id)
    with pytest.raises(LakeNotFound, match="there is no lake"):
        restored(tmp_path / "landing", "nobody")
    with lock.hold(Storage(str(lake)), "another"), pytest.raises(LakeBusy):
        restored(lake, before[0]["run_id"])
    assert (content(lake), len(ids(lake))) == (everything, 2)


def test_a_state_whose_files_are_gone_is_refused(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    optimize.optimize(Storage(str(lake)), SETTINGS, None, "for tests", "tests", InProcess(), Silent(), NOW)
    later = runs.runs(opened(lake))[-1]["started_at"] + timedelta(days=9999)
    vacuum.vacuum(Storage(str(lake)), SETTINGS, 30, "for tests", "tests", Silent(), later)
    with pytest.raises(LakeNotFound, match=r"cannot go back to run .*: bronze/transactions cannot be read at version 1"):
        restored(lake, before[0]["run_id"])
    assert holds(lake)


@pytest.mark.parametrize("tamper", [drop_a_row, move_a_penny])
def test_what_is_not_what_the_certificates_say_is_not_taken_out(landing: Path, tmp_path: Path, tamper: Any) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    path = next(path for path in delta.files_of(opened(lake).table(SILVER)) if before[1]["run_id"] in path)
    tamper(lake / SILVER.path / path)
    with pytest.raises(NotReconciled, match=f"silver/transactions: run {before[1]['run_id']}: .* would go"):
        restored(lake, before[0]["run_id"])
    assert len(ids(lake)) == 2


def test_verification_finds_rows_of_a_run_that_was_undone(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    table = opened(lake).table(SILVER)
    path = next(path for path in delta.files_of(table) if before[1]["run_id"] in path)
    file = StagedFile(path, delta.files_of(table)[path], 3, {"booking_date": path[len("booking_date=") :][:10]}, "{}", 0)
    restored(lake, before[0]["run_id"])
    assert holds(lake)
    delta.commit(opened(lake).table(SILVER), SILVER, Change((file,)), 99, "by hand", NOW)
    faults = {verdict.run_id: verdict.faults for verdict in verify.verify(opened(lake)) if verdict.faults}
    assert list(faults) == [before[1]["run_id"]]
    assert "a restore has undone it, and the tables hold" in faults[before[1]["run_id"]][0]


def test_runs_of_which_the_target_of_a_restore_is_missing_are_damaged(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    restored(lake, before[0]["run_id"])
    with pytest.raises(LakeDamaged, match="brought the lake back to run"):
        runs.standing(runs.runs(opened(lake))[1:])


def test_the_command_says_what_was_undone_and_its_certificate_can_be_shown(landing: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = loaded(landing, lake, range(2))
    shutil.copytree(lake, tmp_path / "copy")
    ran = leofric("restore", before[0]["run_id"], "--lake", lake, "--why", "the wrong day")
    assert ran.exit_code == 0, ran.output
    assert "the wrong day" in ran.stdout
    assert "load" in ran.stdout
    assert leofric("certificate", "--lake", lake).exit_code == 0
    assert leofric("certificate", "verify", "--lake", lake).exit_code == 0
    ran = leofric("restore", before[0]["run_id"], "--lake", tmp_path / "copy", "--why", "the wrong day", "--json")
    assert list(json.loads(ran.stdout)["restore"]["undone"]) == [before[1]["run_id"]]
    assert leofric("restore", "nobody", "--lake", lake, "--why", "?").exit_code == 1
    assert leofric("restore", before[0]["run_id"], "--lake", lake).exit_code == 2
