"""The detectors tried on a lake's past, by the command that ML engineers use."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from tests.support.past import DAYS, EACH, make_past


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_past(tmp_path_factory.mktemp("past"))


def test_both_detectors_find_what_is_strange_in_the_later_part(past: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", "--labels", f"{past}/labels.csv", "--lake", f"{past}/lake", "--seeds", "2", "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert set(found) == {"isolation_forest", "supervised", "warm_senders", "by_typology", "split", "seeds", "stability"}
    assert found["isolation_forest"]["average_precision"] > 0.8
    assert found["supervised"]["average_precision"] > 0.9
    assert found["by_typology"]["supervised"]["drain"]["recall_at_1pct_fpr"] > 0.9
    assert found["split"]["test"]["judged"] == found["split"]["test"]["payments"]
    assert found["split"]["labels"]["known_when_the_test_begins"] < found["split"]["train"]["payments"]
    assert found["seeds"] == [1, 2]
    assert found["stability"]["isolation_forest"] > 0.8


def test_without_early_labels_there_is_no_ranker_and_the_summary_says_so(past: Path, tmp_path: Path) -> None:
    lines = (past / "labels.csv").read_text().splitlines()
    late = tmp_path / "late.csv"
    late.write_text("\n".join([lines[0], *lines[1 + DAYS * EACH // 2 :]]) + "\n")
    ran = CliRunner().invoke(app, ["evaluate", "--labels", str(late), "--lake", f"{past}/lake", "--seeds", "1"])
    assert ran.exit_code == 0, ran.output
    assert "No ranker was trained" in ran.stdout
    assert "drain" in ran.stdout


def test_labels_of_one_kind_only_are_refused(past: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.csv"
    quiet.write_text((past / "labels.csv").read_text().replace(",1,drain", ",0,"))
    ran = CliRunner().invoke(app, ["evaluate", "--labels", str(quiet), "--lake", f"{past}/lake"])
    assert ran.exit_code == 2
    assert "payments of both kinds" in ran.stderr
