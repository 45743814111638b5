"""The registry: trained, measured, promoted past a gate, rolled back; nothing is changed in place."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.errors import ModelError
from app.lake import registry
from app.lake.layout import model as path_of
from app.lake.registry import Card
from pipelines import models
from pipelines.cli import app
from tests.support.lake import opened
from tests.support.past import make_past

NOW = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_past(tmp_path_factory.mktemp("past"))


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def trained(past: Path, seed: int, *words: object) -> list[dict[str, Any]]:
    ran = leofric("train", "--lake", past / "lake", "--seed", seed, "--json", *words)
    assert ran.exit_code == 0, ran.output
    return list(json.loads(ran.stdout))


def test_a_sample_is_learnt_from_and_said(past: Path) -> None:
    forest, ranker = trained(past, 1, "--labels", past / "labels.csv", "--sample", 300)
    assert (forest["trained"]["payments"], ranker["trained"]["payments"]) == (300, 300)


def test_a_model_is_trained_measured_promoted_and_rolled_back(past: Path) -> None:
    lake = past / "lake"
    forest, ranker = trained(past, 1, "--labels", past / "labels.csv")
    assert (forest["kind"], ranker["kind"]) == ("isolation_forest", "supervised")
    assert forest["holdout"]["metrics"]["average_precision"] > 0.8
    assert forest["holdout"]["champion"] is None
    assert leofric("models", "promote", forest["model_id"], "--lake", lake, "--why", "the first").exit_code == 0

    tested = json.loads(
        leofric("evaluate", "--labels", past / "labels.csv", "--lake", lake, "--model", ranker["model_id"], "--json").stdout
    )
    assert (tested["isolation_forest"], tested["model"], tested["stability"]["supervised"]) == (None, ranker["model_id"], None)
    assert tested["supervised"] == pytest.approx(ranker["holdout"]["metrics"], abs=0.02)
    assert tested["split"]["test"]["from"] > ranker["trained"]["to"]

    again, _ = trained(past, 2, "--labels", past / "labels.csv")
    assert again["holdout"]["champion"] == forest["model_id"]
    assert again["holdout"]["champion_metrics"] == forest["holdout"]["metrics"]
    assert leofric("models", "promote", again["model_id"], "--lake", lake, "--why", "newer").exit_code == 0
    stages = {row["model_id"]: row["stage"] for row in json.loads(leofric("models", "list", "--lake", lake, "--json").stdout)}
    assert [stages[card["model_id"]] for card in (forest, again, ranker)] == ["retired", "champion", "challenger"]

    assert leofric("models", "rollback", "isolation_forest", "--lake", lake, "--why", "too many alerts").exit_code == 0
    shown = json.loads(leofric("models", "show", forest["model_id"], "--lake", lake).stdout)
    assert [(d["action"], d["champion"], d["why"]) for d in shown["decisions"]] == [
        ("promote", forest["model_id"], "the first"),
        ("promote", again["model_id"], "newer"),
        ("rollback", forest["model_id"], "too many alerts"),
    ]
    assert leofric("models", "rollback", "isolation_forest", "--lake", lake, "--why", "once more").exit_code == 1


def test_the_same_seed_and_lake_train_the_same_model(past: Path) -> None:
    assert trained(past, 5)[0]["sha256"] == trained(past, 5)[0]["sha256"] != trained(past, 6)[0]["sha256"]


def test_a_model_without_metrics_passes_the_gate_only_when_told_to(past: Path) -> None:
    (card,) = trained(past, 7)
    held = leofric("models", "promote", card["model_id"], "--lake", past / "lake", "--why", "x")
    assert held.exit_code == 1
    assert "was not measured on a holdout" in held.stderr
    forced = leofric("models", "promote", card["model_id"], "--lake", past / "lake", "--why", "no labels yet", "--without-gate")
    assert forced.exit_code == 0, forced.output


def test_a_file_that_is_not_the_one_registered_is_not_promoted(past: Path) -> None:
    (card,) = trained(past, 8)
    path = past / "lake" / path_of(card["model_id"], "npz")
    path.write_bytes(path.read_bytes()[:-1])
    held = leofric("models", "promote", card["model_id"], "--lake", past / "lake", "--why", "x", "--without-gate")
    assert held.exit_code == 1
    assert "SHA-256 differs" in held.stderr
    assert leofric("models", "show", "nothing", "--lake", past / "lake").exit_code == 1


def card(**holdout: Any) -> Card:
    figures = {"auroc": 0.9, "average_precision": 0.5, "recall_at_1pct_fpr": 0.5}
    on = {"metrics": figures | holdout, "champion": "old", "champion_metrics": figures}
    return Card("new", "isolation_forest", 1, 1, {}, {"to": "", "payments": 1}, {}, on, 1, "0", "", "", "")


def test_the_gate_holds_back_what_is_worse_and_what_was_not_compared() -> None:
    assert models.held_back(card(), "old") is None
    assert models.held_back(card(average_precision=0.49), "old") is None
    assert "average_precision is 0.470" in str(models.held_back(card(average_precision=0.47), "old"))
    assert "recall_at_1pct_fpr is 0.200" in str(models.held_back(card(recall_at_1pct_fpr=0.2), "old"))
    assert "no better than chance" in str(models.held_back(card(auroc=0.5), None))
    assert "not compared with other" in str(models.held_back(card(), "other"))
    assert "not measured" in str(models.held_back(replace(card(), holdout=None), None))


def test_of_two_who_decide_at_once_one_is_told(past: Path) -> None:
    storage = opened(past / "lake").storage
    number = len(registry.decisions(storage)) + 1
    decision = registry.Decision(number, "supervised", "promote", "a", None, "", NOW.isoformat(), "one")
    registry.decide(storage, decision)
    with pytest.raises(ModelError, match="somebody else"):
        registry.decide(storage, replace(decision, champion="b", by="two"))
    assert registry.champions(registry.decisions(storage))["supervised"] == "a"


def test_a_decision_judged_by_what_is_no_longer_so_is_refused(past: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine,) = trained(past, 9)
    lake = opened(past / "lake")

    def somebody_else_decides(*_: object) -> None:
        number = len(registry.decisions(lake.storage)) + 1
        registry.decide(lake.storage, registry.Decision(number, mine["kind"], "promote", "theirs", None, "", NOW.isoformat(), "two"))

    monkeypatch.setattr(models, "held_back", somebody_else_decides)
    with pytest.raises(ModelError, match="somebody else"):
        models.promote(lake, mine["model_id"], "x", "one", NOW)
