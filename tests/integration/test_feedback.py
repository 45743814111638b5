"""Feedback: decisions are kept, the last one counts, and what they say of a payment's parties is told as they were known by then."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.lake import FEEDBACK, SCORES
from app.features.outcomes import SUSPICIOUS
from app.lake import registry
from app.settings import Settings
from models import archive
from pipelines import score, verify
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.feedback import read_feedback
from pipelines.past import read_past
from pipelines.progress import Silent
from tests.support.lake import load, opened, rows
from tests.support.landing import records, write_csv
from tests.support.past import make_past


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def imported(lake: Path, labels: Path) -> dict[str, Any]:
    ran = leofric("feedback", "import", labels, "--lake", lake, "--json")
    assert ran.exit_code == 0, ran.output
    return dict(json.loads(ran.stdout)["feedback"])


def labels_file(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("transaction_id,is_suspicious,typology", *lines)) + "\n")
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write_csv(tmp_path / "landing/a.csv", records(1, 9))
    load(tmp_path / "landing", tmp_path / "lake")
    return tmp_path / "lake"


def test_decisions_are_kept_once_and_the_last_one_counts(lake: Path, tmp_path: Path) -> None:
    first = labels_file(tmp_path / "1.csv", "T000001,1,mule", "T000002,0,", "T999999,0,")
    found = imported(lake, first)
    assert [found[name] for name in ("records", "new", "changed", "same", "not_in_the_lake")] == [3, 3, 0, 0, 1]
    second = labels_file(tmp_path / "2.csv", "T000001,0,", "T000002,0,", "T000003,1,mule")
    found = imported(lake, second)
    assert [found[name] for name in ("records", "new", "changed", "same", "not_in_the_lake")] == [3, 1, 1, 1, 0]
    known = read_feedback(opened(lake))
    assert known is not None
    said = dict(zip(known.transaction_id.to_pylist(), zip(known.suspicious.tolist(), known.typology.to_pylist(), strict=True), strict=True))
    assert said == {"T000001": (False, ""), "T000002": (False, ""), "T000003": (True, "mule"), "T999999": (False, "")}
    assert len(rows(lake, FEEDBACK)) == 5
    assert not any(verdict.faults for verdict in verify.verify(opened(lake)))


def test_the_same_file_again_changes_nothing(lake: Path, tmp_path: Path) -> None:
    file = labels_file(tmp_path / "1.csv", "T000001,1,mule")
    imported(lake, file)
    assert imported(lake, file)["same"] == 1
    assert len(rows(lake, FEEDBACK)) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [(["X,1,"], "none of its transaction_ids is in the lake"), (["T000001,2,"], "neither 0 nor 1"), ([], "has no labels")],
)
def test_decisions_about_nothing_are_wrong_usage(lake: Path, tmp_path: Path, lines: list[str], message: str) -> None:
    ran = leofric("feedback", "import", labels_file(tmp_path / "1.csv", *lines), "--lake", lake)
    assert (ran.exit_code, message in ran.stderr) == (2, True)
    assert rows(lake, FEEDBACK) == []


def test_the_ranker_learns_from_feedback_and_scores_by_what_was_known_by_then(tmp_path: Path) -> None:
    lake = make_past(tmp_path) / "lake"
    imported(lake, tmp_path / "labels.csv")
    trained = leofric("train", "--lake", lake, "--json")
    assert trained.exit_code == 0, trained.output
    forest, ranker = json.loads(trained.stdout)
    for card in (forest, ranker):
        assert leofric("models", "promote", card["kind"], "--lake", lake, "--why", "the first").exit_code == 0
    certificate = score.score(opened(lake).storage, Settings(score_shard_rows=700), InProcess(), Silent())
    assert certificate["models"] == {"isolation_forest": forest["model_id"], "supervised": ranker["model_id"]}
    past = read_past(opened(lake), read_feedback(opened(lake)), Silent())
    storage = opened(lake).storage
    model = archive.unpack(registry.read(storage, registry.card_of(storage, ranker["model_id"])))
    told = dict(zip(past.transaction_ids.to_pylist(), model.scores(past.for_ranker(past.judged)).tolist(), strict=True))
    assert {row["transaction_id"]: row["suspicion"] for row in rows(lake, SCORES)} == told
    assert past.outcomes[:, 0].max() > 0
    strange = set(past.transaction_ids.filter(past.labels == SUSPICIOUS).to_pylist())
    high = {row["transaction_id"] for row in rows(lake, SCORES) if row["band"] == "high"}
    assert len(high & strange) > 0.5 * len(high)
