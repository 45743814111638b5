"""A run that looks after the lake and is killed at any moment leaves what it found, or what it was to do; the next run sees to it."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.lake import layout, runs
from app.lake.storage import Storage
from pipelines import publish, vacuum, verify
from pipelines.progress import Silent
from tests.support.killed_run import ACTS, OPTIMIZE, RESTORE, SETTINGS, VACUUM, killed
from tests.support.lake import content, files_but_audit, files_in, load, opened
from tests.support.landing import record, records, write_csv

MOMENTS = 8


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    for day in range(4):
        again = [record(30 * day + 1), record(2, amount="0.77")]
        write_csv(folder / f"{day}/a.csv", [*records(1 + 30 * day, 30 + 30 * day), *again, record(900 + day, currency="XXX")])
    return folder


@pytest.fixture(scope="module")
def four_days(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("four_days") / "lake"
    for day in range(4):
        load(landing / str(day), lake, SETTINGS)
    return lake


@pytest.fixture(scope="module")
def optimized(four_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("optimized") / "lake"
    shutil.copytree(four_days, lake)
    ACTS[OPTIMIZE](Storage(str(lake)), Silent())
    return lake


def moments(act: str, lake: Path) -> list[str]:
    """Some of the writes that an act makes in a lake, which then has been through it."""
    ended = killed(act, lake, "never")
    assert ended.code == 0, ended.error
    return [f"write:{moment}" for moment in random.Random(2026).sample(range(1, 2 * ended.writes + 1), MOMENTS)]


def each_killed(act: str, before: Path, folder: Path, check: Callable[[Path], None]) -> None:
    """Kill the act in copies of a lake, each at another moment, and look at what is there when the next run has begun."""
    shutil.copytree(before, folder / "counted")
    for moment in moments(act, folder / "counted"):
        lake = folder / moment.replace(":", "-")
        shutil.copytree(before, lake)
        assert killed(act, lake, moment).code == -9, moment
        publish.recover(opened(lake))
        assert not files_in(lake / layout.JOURNAL), moment
        assert not [verdict for verdict in verify.verify(opened(lake)) if verdict.faults], moment
        check(lake)


def test_optimizing_that_is_killed_changes_no_row_and_leaves_nothing_behind(four_days: Path, tmp_path: Path) -> None:
    def check(lake: Path) -> None:
        assert content(lake) == content(four_days)
        newest = {path for path in files_but_audit(lake) if path.endswith(".parquet") and "_delta_log" not in path}
        kinds = [row["run_id"] for row in runs.runs(opened(lake))]
        named = {path for path in newest if not any(run_id in path for run_id in kinds) and "control/runs" not in path}
        assert named == set()  # no file is of a run that has no certificate

    each_killed(OPTIMIZE, four_days, tmp_path, check)


def test_a_vacuum_that_is_killed_has_let_go_of_nothing_or_is_finished(optimized: Path, tmp_path: Path) -> None:
    def check(lake: Path) -> None:
        assert content(lake) == content(optimized)
        done = "vacuum" in publish.certificate_of(opened(lake), runs.runs(opened(lake))[-1]["run_id"])
        before, now = files_in(optimized), files_in(lake)
        gone = {path for path in before - now if "/part-" in path and "control/runs" not in path}
        assert bool(gone) == done
        if done:
            assert vacuum.plan(opened(lake), 30, runs.runs(opened(lake))[-1]["started_at"]).files == ()

    each_killed(VACUUM, optimized, tmp_path, check)


def test_a_restore_that_is_killed_is_not_done_or_finished_and_the_files_can_be_loaded_again(
    four_days: Path, landing: Path, tmp_path: Path
) -> None:
    load(landing / "0", tmp_path / "first", SETTINGS)
    states = (content(four_days), content(tmp_path / "first"))

    def check(lake: Path) -> None:
        done = runs.runs(opened(lake))[-1]["sequence"] == 5
        assert content(lake) == states[done]
        for day in range(4):
            load(landing / str(day), lake, SETTINGS)
        assert content(lake) == states[0]
        assert not [verdict for verdict in verify.verify(opened(lake)) if verdict.faults]

    each_killed(RESTORE, four_days, tmp_path, check)
