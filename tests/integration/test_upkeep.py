"""Looking after a lake: many small files become few, old ones go, and no state within the guard loses anything."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.contracts.lake import BRONZE, QUARANTINE, SHADOW_SCORES, SILVER
from app.errors import LakeBusy, LakeDamaged, LakeNotFound, NotReconciled, UsageError
from app.lake import delta, layout, lock, runs
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import changes, optimize, score, vacuum, verify
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.progress import Silent
from tests.support.champion import put_into_use
from tests.support.lake import NOW, asked, content, files_but_audit, files_in, load, opened
from tests.support.landing import record, records, write_csv
from tests.support.tampering import Tamper, cut_in_half, double_a_row, drop_a_row, move_a_penny

SETTINGS = Settings()
GUARD = SETTINGS.vacuum_guard_days
COUNT = "select count(*) as payments from silver_transactions"


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def later(days: float) -> datetime:
    """So many days after the runs of a test, which commit now."""
    return datetime.now(UTC) + timedelta(days=days)


def optimized(lake: Path, contract: Any = None, executor: Any = None) -> dict[str, Any]:
    found = optimize.optimize(Storage(str(lake)), SETTINGS, contract, "for tests", "tests", executor or InProcess(), Silent(), NOW)
    assert found is not None
    return found


def vacuumed(lake: Path, now: datetime, days: int = GUARD) -> dict[str, Any]:
    certificate = vacuum.vacuum(Storage(str(lake)), SETTINGS, days, "for tests", "tests", Silent(), now)
    return dict(certificate["vacuum"])


def scored(lake: Path) -> dict[str, Any]:
    return score.score(Storage(str(lake)), SETTINGS, InProcess(), Silent(), NOW)


def holds(lake: Path) -> bool:
    return not any(verdict.faults for verdict in verify.verify(opened(lake)))


def payments(lake: Path, run_id: str) -> int:
    return int(asked(opened(lake), COUNT, [run_id]).to_pylist()[0]["payments"])


def files(lake: Path, contract: Any) -> int:
    return len(opened(lake).table(contract).file_uris())


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Four runs, each with payments of the same three days, a duplicate, and one that is quarantined."""
    for day in range(4):
        rows = [*records(1 + 9 * day, 9 + 9 * day), record(1 + 9 * day), record(900 + day, currency="XXX")]
        write_csv(tmp_path / f"{day}/a.csv", rows)
        load(tmp_path / str(day), tmp_path / "lake", now=NOW + timedelta(minutes=day))
    return tmp_path / "lake"


def ids(lake: Path) -> list[str]:
    return [row["run_id"] for row in runs.runs(opened(lake))]


def test_many_small_files_become_one_a_partition_and_no_row_changes(lake: Path) -> None:
    before, run_ids = content(lake), ids(lake)
    assert (files(lake, SILVER), files(lake, BRONZE)) == (12, 4)
    certificate = optimized(lake)
    assert certificate["optimize"]["tables"][SILVER.path] | {"bytes_before": 0, "bytes_after": 0} == {
        "files_before": 12, "files_after": 3, "rows": 36, "bytes_before": 0, "bytes_after": 0,
    }  # fmt: skip
    assert certificate["optimize"]["why"] == "for tests"
    assert (files(lake, SILVER), files(lake, BRONZE), files(lake, QUARANTINE)) == (3, 1, 1)
    assert content(lake) == before
    assert holds(lake)
    assert [payments(lake, run_id) for run_id in run_ids] == [9, 18, 27, 36]
    assert list(changes.feed(opened(lake), SILVER, run_ids[-1], None).tables()) == []
    assert optimize.optimize(Storage(str(lake)), SETTINGS, None, "again", "tests", InProcess(), Silent()) is None


def test_one_table_can_be_named_and_only_one_that_runs_write(lake: Path) -> None:
    ran = leofric("optimize", "quarantine/transactions", "--lake", lake, "--why", "many files", "--json")
    assert ran.exit_code == 0, ran.output
    assert list(json.loads(ran.stdout)["optimize"]["tables"]) == [QUARANTINE.path]
    assert (files(lake, QUARANTINE), files(lake, SILVER)) == (1, 12)
    with pytest.raises(UsageError, match="not written by runs"):
        optimize.contracts_of(SHADOW_SCORES)
    assert "nothing to do" in leofric("optimize", "quarantine/transactions", "--lake", lake, "--why", "again").stdout


def test_files_that_are_half_full_stay_and_no_file_gets_more_rows_than_the_setting_says(lake: Path) -> None:
    found = optimize.groups(opened(lake), [SILVER], 8)
    assert [(len(group.paths), group.rows) for group in found] == [(2, 6)] * 6
    assert optimize.groups(opened(lake), [SILVER], 5) == []


def test_the_log_and_the_files_of_a_compacted_table_have_no_range_of_personal_columns(lake: Path) -> None:
    optimized(lake)
    (path, *_) = delta.files_of(opened(lake).table(SILVER))
    metadata = pq.ParquetFile(lake / SILVER.path / path).metadata.row_group(0)
    columns = {metadata.column(at).path_in_schema: metadata.column(at) for at in range(metadata.num_columns)}
    assert not columns["account_number"].is_stats_set
    log = "".join(file.read_text() for file in sorted((lake / SILVER.path / "_delta_log").glob("*.json"))[-1:])
    assert "numRecords" in log
    assert "minValues" not in log
    assert '"dataChange":true' not in log


def test_payments_that_wait_for_a_score_get_it_after_their_files_were_made_one(lake: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for day in range(4):
        load(tmp_path / str(day), other, now=NOW + timedelta(minutes=day))
    for one in (lake, other):
        put_into_use(one)
    optimized(lake)
    first, plain = scored(lake), scored(other)
    assert sum(of["records"] for of in first["scored"].values()) == sum(of["records"] for of in plain["scored"].values()) == 36
    assert first["scored_again"] == 0
    # A run that comes late, beside files that were scored and made one.
    write_csv(tmp_path / "late/a.csv", records(37, 40))
    for one in (lake, other):
        load(tmp_path / "late", one, now=NOW + timedelta(minutes=9))
    optimized(lake)
    again, plain = scored(lake), scored(other)
    assert (sorted(of["records"] for of in again["scored"].values()), again["scored_again"]) == ([4], plain["scored_again"])
    assert content(lake) == content(other)
    assert holds(lake)


@pytest.mark.parametrize("tamper", [drop_a_row, double_a_row, move_a_penny])
def test_what_is_not_what_was_read_is_not_published(lake: Path, monkeypatch: pytest.MonkeyPatch, tamper: Tamper) -> None:
    before, on_disk = content(lake), files_but_audit(lake)
    written = delta.FileWriter.close

    def spoilt(writer: delta.FileWriter) -> delta.StagedFile | None:
        staged = written(writer)
        assert staged is not None
        tamper(lake / SILVER.path / staged.path)
        return staged

    monkeypatch.setattr(delta.FileWriter, "close", spoilt)
    with pytest.raises(NotReconciled, match="does not hold the rows"):
        optimized(lake, SILVER)
    assert (content(lake), files_but_audit(lake)) == (before, on_disk)


def test_a_file_that_cannot_be_read_is_named(lake: Path) -> None:
    (path, *_) = delta.files_of(opened(lake).table(SILVER))
    cut_in_half(lake / SILVER.path / path)
    with pytest.raises(LakeDamaged, match="silver/transactions cannot be read"):
        optimized(lake)


def test_nothing_is_let_go_that_could_be_seen_within_the_guard(lake: Path) -> None:
    optimized(lake)
    assert vacuum.plan(opened(lake), GUARD, later(GUARD - 1)).files == ()
    ran = leofric("vacuum", "--lake", lake, "--why", "space")
    assert (ran.exit_code, "0 files" in ran.stdout) == (0, True)


def test_a_vacuum_lets_go_of_what_only_old_states_need_and_queries_of_them_say_so(lake: Path) -> None:
    run_ids = ids(lake)
    optimized(lake)
    before, kept = content(lake), files_in(lake / layout.KEPT_FILES)
    would = vacuum.plan(opened(lake), GUARD, later(GUARD + 1)).document()
    said = vacuumed(lake, later(GUARD + 1))
    assert {name: said[name] for name in would} == would
    assert (said["tables"][SILVER.path]["files"], said["tables"][BRONZE.path]["files"]) == (12, 4)
    assert (said["oldest_state"], said["why"], said["older_than_days"]) == (ids(lake)[4], "for tests", GUARD)
    assert content(lake) == before
    assert files_in(lake / layout.KEPT_FILES) == kept
    assert holds(lake)
    assert payments(lake, ids(lake)[4]) == 36
    with pytest.raises(LakeNotFound, match=r"silver/transactions cannot be read at version 4: .* not there any more; `leofric vacuum`"):
        payments(lake, run_ids[3])
    on_disk = {name for name in files_in(lake / SILVER.path) if name.endswith(".parquet") and "_delta_log" not in name}
    assert on_disk == set(delta.files_of(opened(lake).table(SILVER)))
    with pytest.raises(LakeNotFound, match="silver/transactions cannot be read at version"):
        list(changes.feed(opened(lake), SILVER, run_ids[0], None).tables())
    load(lake.parent / "0", lake)
    assert holds(lake)


def test_the_state_that_was_seen_when_the_guard_begins_is_kept(lake: Path) -> None:
    # All four runs are committed now: at the moment when the guard begins after them, the last one's state was seen.
    plan = vacuum.plan(opened(lake), GUARD, later(GUARD + 1))
    assert plan.oldest is not None
    assert plan.oldest.run_id == ids(lake)[-1]
    assert plan.files
    assert not any(entry.path.startswith((SILVER.path, BRONZE.path, QUARANTINE.path)) for entry in plan.files)


def test_less_than_the_guard_is_refused_and_a_reason_is_needed(lake: Path) -> None:
    for words in (("--dry-run",), ("--why", "space")):
        ran = leofric("vacuum", "--lake", lake, "--older-than", GUARD - 1, *words)
        assert (ran.exit_code, f"the guard keeps every state of the last {GUARD} days" in ran.stderr) == (2, True)
    with pytest.raises(UsageError, match="the guard"):
        vacuumed(lake, later(99), GUARD - 1)
    optimized(lake)
    dry = leofric("vacuum", "--lake", lake, "--dry-run", "--json", "--older-than", 40)
    assert json.loads(dry.stdout) == {"files": 0, "bytes": 0, "tables": {}, "oldest_state": ids(lake)[0]}


def test_a_file_that_leofric_did_not_write_and_one_that_a_run_is_staging_are_not_touched(lake: Path) -> None:
    optimized(lake)
    mine, staged = lake / SILVER.path / "mine.parquet", lake / SILVER.path / "booking_date=2026-03-01/part-r77-00000.parquet"
    for path in (mine, staged):
        path.write_bytes(b"?")
    opened(lake).storage.put(layout.journal("r77"), b'{"phase": "staging", "run_id": "r77"}')
    paths = {entry.path for entry in vacuum.plan(opened(lake), GUARD, later(GUARD + 1)).files}
    assert len(paths) > 12
    assert not any("mine" in path or "r77" in path for path in paths)


def test_upkeep_waits_for_no_other_run(lake: Path) -> None:
    with lock.hold(Storage(str(lake)), "another"):
        with pytest.raises(LakeBusy):
            optimized(lake)
        with pytest.raises(LakeBusy):
            vacuumed(lake, later(99))
