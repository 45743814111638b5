"""Exactly once: a run that is killed at any moment and started again leaves what an unbroken run leaves."""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.compliance.audit_check import verify as audit_verify
from app.compliance.corrections import Item
from app.contracts.lake import QUARANTINE, TABLES
from app.errors import ReviewRefused
from app.lake import layout, runs
from app.lake.audit import known_heads, open_log
from app.settings import AuditSettings
from pipelines import publish, verify
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.killed_run import REPLAY, SCORE, SETTINGS, killed
from tests.support.lake import NOW, content, files_in, load, opened, rows
from tests.support.landing import ndjson_bytes, record, records, write_csv, write_parquet
from tests.support.review import correct, replayed

STAGES = ("open", "ingest", "bronze", "duplicates", "silver", "gold", "reconcile", "publish")
RANDOM_MOMENTS = 16


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two earlier days' worth and one day's: three formats, faults, duplicates and conflicts."""
    folder = tmp_path_factory.mktemp("landing")
    write_csv(folder / "first/0.csv", records(1, 60))
    broken = [record(n, currency="XXX") for n in range(300, 310)]
    write_csv(folder / "day/1.csv", [*records(50, 150), *broken, record(70, amount="1.11")])
    (folder / "day/2.ndjson").write_bytes(ndjson_bytes(records(140, 200)) + b'{"broken": \n')
    write_parquet(folder / "day/3.parquet", [*records(190, 260), record(200, amount="2.22")])
    return folder


@pytest.fixture(scope="module")
def begun(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that has the earlier days."""
    lake = tmp_path_factory.mktemp("begun") / "lake"
    load(landing / "first", lake, SETTINGS)
    return lake


@pytest.fixture(scope="module")
def unbroken(landing: Path, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("unbroken") / "lake"
    shutil.copytree(begun, lake)
    load(landing / "day", lake, SETTINGS)
    return lake


def is_whole_after_another_run(landing: Path, lake: Path, unbroken: Path) -> None:
    load(landing / "day", lake, SETTINGS)
    assert content(lake) == content(unbroken)
    assert [v for v in verify.verify(opened(lake)) if v.faults] == []
    each_run_is_in_the_audit_trail_once(lake)
    nothing_is_left_over(lake)


def each_run_is_in_the_audit_trail_once(lake: Path) -> None:
    log = open_log(opened(lake), AuditSettings())
    assert audit_verify(log.entries(), {}, known_heads(opened(lake))).fault is None
    told = Counter(entry.event_id for entry in log.entries() if entry.result == "succeeded")
    assert set(told.values()) == {1}
    assert {f"run:{row['run_id']}" for row in runs.runs(opened(lake))} == {name for name in told if name.count(":") == 1}


def nothing_is_left_over(lake: Path) -> None:
    """Every file of the lake is in a table, is named by a certificate, or is the lake's own identity."""
    for contract in TABLES:
        newest = opened(lake).table(contract).version()
        ever = {Path(uri).name for version in range(newest + 1) for uri in opened(lake).table(contract, version).file_uris()}
        on_disk = {Path(name).name for name in files_in(lake / contract.path) if name.endswith(".parquet") and "_delta_log" not in name}
        assert on_disk == ever, contract.path
    last = runs.runs(opened(lake))[-1]
    named = {f"keys/{segment['name']}" for segment in publish.certificate_of(opened(lake), last["run_id"])["keys"]}
    registry = {name for name in files_in(lake / layout.OWN) if name.startswith(("models/", "champions/"))}
    heads = {name for name in files_in(lake / layout.OWN) if name.startswith("audit_heads/")}
    assert files_in(lake / layout.OWN) == {*named, *registry, *heads, "lake.json", "lock"}
    assert files_in(lake / layout.KEPT_FILES) == runs.loaded_files(runs.runs(opened(lake)))


@pytest.mark.parametrize("moment", [f"{when}:{stage}" for stage in STAGES for when in ("begin", "end")])
def test_a_run_killed_at_a_stage_boundary_is_made_good_by_the_next(
    landing: Path, begun: Path, unbroken: Path, tmp_path: Path, moment: str
) -> None:
    shutil.copytree(begun, tmp_path / "lake")
    assert killed(landing / "day", tmp_path / "lake", moment).code == -9
    is_whole_after_another_run(landing, tmp_path / "lake", unbroken)


def test_a_run_killed_at_random_writes_is_made_good_by_the_next(landing: Path, begun: Path, unbroken: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "counted")
    ended = killed(landing / "day", tmp_path / "counted", "never")
    assert ended.code == 0, ended.error
    moments = random.Random(2026).sample(range(1, 2 * ended.writes + 1), RANDOM_MOMENTS)
    for moment in moments:
        lake = tmp_path / str(moment)
        shutil.copytree(begun, lake)
        assert killed(landing / "day", lake, f"write:{moment}").code == -9, moment
        is_whole_after_another_run(landing, lake, unbroken)


def test_a_first_run_that_is_killed_again_and_again_gets_there(landing: Path, tmp_path: Path) -> None:
    load(landing / "day", tmp_path / "unbroken", SETTINGS)
    for moment in (1, 3, 8, 20, 45, 70):
        assert killed(landing / "day", tmp_path / "lake", f"write:{moment}").code == -9
    load(landing / "day", tmp_path / "lake", SETTINGS)
    assert content(tmp_path / "lake") == content(tmp_path / "unbroken")
    nothing_is_left_over(tmp_path / "lake")


@pytest.fixture(scope="module")
def to_score(landing: Path, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of which the first days are scored and one day, which is late in part, is not."""
    lake = tmp_path_factory.mktemp("to_score") / "lake"
    shutil.copytree(begun, lake)
    put_into_use(lake)
    scored(lake)
    load(landing / "day", lake, SETTINGS)
    return lake


@pytest.fixture(scope="module")
def all_scored(to_score: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("all_scored") / "lake"
    shutil.copytree(to_score, lake)
    assert scored(lake)["scored_again"] > 0
    return lake


def scored(lake: Path) -> dict[str, Any]:
    return score(opened(lake).storage, SETTINGS, InProcess(), Silent(), NOW)


def is_whole_after_scoring_again(lake: Path, all_scored: Path) -> None:
    scored(lake)
    assert content(lake) == content(all_scored)
    assert [v for v in verify.verify(opened(lake)) if v.faults] == []
    nothing_is_left_over(lake)


@pytest.mark.parametrize("stage", ["open", "news", "histories", "look back", "score", "alerts", "reconcile", "publish"])
def test_scoring_that_is_killed_after_a_stage_is_made_good_by_the_next(
    to_score: Path, all_scored: Path, tmp_path: Path, stage: str
) -> None:
    shutil.copytree(to_score, tmp_path / "lake")
    ended = killed(SCORE, tmp_path / "lake", f"end:{stage}")
    assert ended.code == -9, ended.error
    is_whole_after_scoring_again(tmp_path / "lake", all_scored)


def test_scoring_that_is_killed_at_random_writes_is_made_good_by_the_next(to_score: Path, all_scored: Path, tmp_path: Path) -> None:
    shutil.copytree(to_score, tmp_path / "counted")
    ended = killed(SCORE, tmp_path / "counted", "never")
    assert ended.code == 0, ended.error
    for moment in random.Random(2026).sample(range(1, 2 * ended.writes + 1), RANDOM_MOMENTS // 2):
        shutil.copytree(to_score, tmp_path / str(moment))
        assert killed(SCORE, tmp_path / str(moment), f"write:{moment}").code == -9, moment
        is_whole_after_scoring_again(tmp_path / str(moment), all_scored)


@pytest.fixture(scope="module")
def to_replay(unbroken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with corrections approved: of ten records eight will do, and two will not."""
    lake = tmp_path_factory.mktemp("to_replay") / "lake"
    shutil.copytree(unbroken, lake)
    wrong = [row for row in rows(lake, QUARANTINE) if row["reasons"] == ["currency_not_money"]]
    values = {Item(row["source_sha256"], row["record_number"]): {"currency": "GBP" if n > 1 else "XYZ"} for n, row in enumerate(wrong)}
    correct(lake, values)
    return lake


@pytest.fixture(scope="module")
def all_replayed(to_replay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("all_replayed") / "lake"
    shutil.copytree(to_replay, lake)
    totals = replayed(lake, SETTINGS)["totals"]
    assert (totals["records"], totals["accepted"], totals["quarantined"]) == (10, 8, 2)
    return lake


def is_whole_after_replaying_again(lake: Path, all_replayed: Path) -> None:
    """The next replay undoes the dead one and does its work; or finishes it, and then there is nothing left to do."""
    try:
        replayed(lake, SETTINGS)
    except ReviewRefused as refused:
        assert "no correction is approved" in str(refused)
    assert content(lake) == content(all_replayed)
    assert [v for v in verify.verify(opened(lake)) if v.faults] == []
    nothing_is_left_over(lake)


@pytest.mark.parametrize("stage", ["open", "corrections", "bronze", "duplicates", "silver", "gold", "reconcile", "publish"])
def test_a_replay_that_is_killed_after_a_stage_is_made_good_by_the_next(
    to_replay: Path, all_replayed: Path, tmp_path: Path, stage: str
) -> None:
    shutil.copytree(to_replay, tmp_path / "lake")
    ended = killed(REPLAY, tmp_path / "lake", f"end:{stage}")
    assert ended.code == -9, ended.error
    is_whole_after_replaying_again(tmp_path / "lake", all_replayed)


def test_a_replay_that_is_killed_at_random_writes_is_made_good_by_the_next(to_replay: Path, all_replayed: Path, tmp_path: Path) -> None:
    shutil.copytree(to_replay, tmp_path / "counted")
    ended = killed(REPLAY, tmp_path / "counted", "never")
    assert ended.code == 0, ended.error
    for moment in random.Random(2026).sample(range(1, 2 * ended.writes + 1), RANDOM_MOMENTS // 2):
        shutil.copytree(to_replay, tmp_path / str(moment))
        assert killed(REPLAY, tmp_path / str(moment), f"write:{moment}").code == -9, moment
        is_whole_after_replaying_again(tmp_path / str(moment), all_replayed)
