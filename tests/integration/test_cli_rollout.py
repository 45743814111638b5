"""The commands that try a challenger: what they write down, what they refuse, what they show."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from app.contracts.lake import SHADOW_SCORES
from app.errors import ModelError
from app.lake import layout, registry, rollouts
from app.lake.lake import create
from app.lake.storage import Storage
from models.champions import Champions, in_use
from pipelines import models
from pipelines.cli import app
from serve.audit import Trail
from serve.metrics import Metrics
from serve.rollout import Rollouts
from serve.settings import ServeSettings, settings_of
from tests.support.challenger import GOOD, RANKER, past, register
from tests.support.champion import NOW, forest, put_into_use
from tests.support.lake import opened

CHAMPION = forest()[0].model_id


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    create(Storage(str(folder)), bytes(16))
    put_into_use(folder)
    register(folder, GOOD)
    return folder


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, ["models", "rollout", *(str(word) for word in words)])


def start(lake: Path, model_id: str = GOOD, *words: object) -> Any:
    return leofric("start", model_id, "--lake", lake, "--mode", "shadow", "--share", 0.1, "--why", "to try", *words)


def test_a_rollout_is_started_shown_and_stopped(lake: Path) -> None:
    began = start(lake, GOOD, "--most-errors", 0.02, "--most-drift", 0.3, "--least", 100)
    assert began.exit_code == 0, began.output
    assert began.stdout == f"rollout 1: {GOOD} is tried in shadow on 0.1 of the payments as soon as services look at the lake\n"
    found = json.loads(leofric("show", "--lake", lake, "--json").stdout)
    assert (found["rollout"], found["mode"], found["kind"], found["model_id"]) == (1, "shadow", "isolation_forest", GOOD)
    assert (found["share"], found["limits"]) == (0.1, {"most_errors": 0.02, "most_drift": 0.3, "least": 100})
    assert (found["started"]["why"], found["ended"], found["payments"], found["drift"], found["bands"]) == ("to try", None, 0, None, [])
    assert leofric("stop", "--lake", lake, "--why", "enough").exit_code == 0
    said = leofric("show", "--lake", lake).stdout
    assert f"rollout 1: {GOOD}, shadow on 0.1 of the payments" in said
    assert ": enough" in said
    assert "payments 0, of which it answered 0" in said
    again = leofric("start", GOOD, "--lake", lake, "--mode", "canary", "--share", 1, "--why", "it did well")
    assert again.stdout.startswith(f"rollout 3: {GOOD} answers 1 of the payments")
    assert [(mode, why) for mode, _, why in past(lake)] == [("shadow", "to try"), ("none", "enough"), ("canary", "it did well")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--share", 0), "--share is over 0 and at most 1, not 0"),
        (("--share", 1.5), "--share is over 0 and at most 1, not 1.5"),
        (("--share", "nan"), "--share is over 0 and at most 1, not nan"),
        (("--most-errors", -1), "--most-errors is a share from 0 to 1, not -1"),
        (("--most-drift", 0), "--most-drift is over 0, not 0"),
        (("--least", 0), "--least is at least 1, not 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused(lake: Path, words: tuple[object, ...], sentence: str) -> None:
    refused = start(lake, GOOD, *words)
    assert refused.exit_code == 2
    assert sentence in " ".join(refused.output.split())
    assert past(lake) == []


def test_what_cannot_be_tried_is_refused_with_a_sentence(lake: Path) -> None:
    card, data = forest()
    registry.keep(opened(lake).storage, replace(card, model_id="older", features_version=card.features_version + 1), data)
    for model_id, sentence in [
        ("nobody", "the lake has no model nobody"),
        (CHAMPION, f"{CHAMPION} is the champion: it answers everything already"),
        ("older", "older was trained on feature set"),
    ]:
        refused = start(lake, model_id)
        assert refused.exit_code == 1
        assert sentence in " ".join(refused.output.split())
    assert "no rollout goes on" in leofric("stop", "--lake", lake, "--why", "x").output
    assert "there never was a rollout" in leofric("show", "--lake", lake).output
    assert start(lake).exit_code == 0
    register(lake, RANKER)
    second = start(lake, RANKER)
    assert second.exit_code == 1
    assert f"{GOOD} is being tried (shadow); end that with" in second.output
    path = lake / layout.model(RANKER, "npz")
    path.write_bytes(path.read_bytes() + b"x")
    leofric("stop", "--lake", lake, "--why", "enough")
    assert f"the file of model {RANKER} is not the one that was registered" in " ".join(start(lake, RANKER).output.split())


def test_without_a_champion_there_is_nothing_to_be_tried_beside(tmp_path: Path) -> None:
    create(Storage(str(tmp_path)), bytes(16))
    register(tmp_path, GOOD)
    assert "there is no champion for it to be tried beside" in start(tmp_path).output


def test_where_signatures_are_demanded_only_a_signed_challenger_is_tried(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    public = tmp_path / "public.pem"
    public.write_bytes(Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert start(lake).exit_code == 0  # here nobody demands them, but the service does
    settings = settings_of({"lake": str(lake), "trusted_key_file": str(public)})
    assert follower(lake, settings).follow(champions_of(lake)) is None
    assert past(lake)[1][1:] == (
        "service",
        f"it cannot be used: {GOOD} is not signed; train it anew with LEOFRIC_SIGNING_KEY_FILE",
    )
    assert f"the challenger {GOOD} is refused" in caplog.text
    monkeypatch.setenv("LEOFRIC_TRUSTED_KEY_FILE", str(public))
    refused = start(lake)
    assert refused.exit_code == 1
    assert f"{GOOD} is not signed" in refused.output


def test_a_champion_of_another_model_does_not_end_a_rollout_and_a_rollback_to_the_challenger_does(lake: Path) -> None:
    models.promote(opened(lake), GOOD, "newer", "me", NOW, past_gate=True)
    assert leofric("start", CHAMPION, "--lake", lake, "--mode", "canary", "--share", 0.5, "--why", "as before").exit_code == 0
    register(lake, RANKER)
    models.promote(opened(lake), RANKER, "the first", "me", NOW, past_gate=True)
    assert rollouts.goes_on(rollouts.last(opened(lake).storage))
    models.rollback(opened(lake), "isolation_forest", "worse", "me", NOW)
    assert past(lake)[1] == ("none", "me", "it is the champion now: worse")


def test_a_lake_of_an_older_version_has_to_get_the_table_first(lake: Path) -> None:
    identity = json.loads((lake / layout.IDENTITY).read_text())
    identity["tables"].remove(SHADOW_SCORES.path)
    (lake / layout.IDENTITY).write_text(json.dumps(identity))
    shutil.rmtree(lake / SHADOW_SCORES.path)
    refused = start(lake)
    assert refused.exit_code == 1
    assert "the lake has no table gold/shadow_scores" in " ".join(refused.output.split())
    create(Storage(str(lake)), bytes(16))  # as a run does
    assert start(lake).exit_code == 0


def test_two_who_start_at_once_do_not_both(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "last", lambda _: None)
    assert start(lake).exit_code == 0
    second = start(lake)
    assert second.exit_code == 1
    assert "somebody else has started or stopped a rollout meanwhile" in " ".join(second.output.split())


def test_a_service_that_was_second_to_stop_a_rollout_sees_that_it_has_ended(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(lake).exit_code == 0
    following = follower(lake, settings_of({"lake": str(lake)}))
    trial = following.follow(champions_of(lake))
    assert trial is not None
    trial.over = "too many errors"

    def somebody_was_first(*_: object) -> None:
        raise ModelError("somebody else")

    with monkeypatch.context() as changed:
        changed.setattr(rollouts, "end", somebody_was_first)
        assert following.follow(champions_of(lake)) is trial
    leofric("stop", "--lake", lake, "--why", "I was first")
    assert following.follow(champions_of(lake)) is None
    assert [why for _, _, why in past(lake)] == ["to try", "I was first"]


def test_a_lake_that_cannot_be_read_leaves_the_trial_as_it_is(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(lake).exit_code == 0
    following = follower(lake, settings_of({"lake": str(lake)}))
    trial = following.follow(champions_of(lake))

    def away(_: Storage) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(rollouts, "last", away)
    assert following.follow(champions_of(lake)) is trial is not None


def follower(lake: Path, settings: ServeSettings) -> Rollouts:
    return Rollouts(opened(lake), settings, lambda: NOW, Metrics(), Trail(opened(lake), 60, lambda: NOW, Metrics()))


def champions_of(lake: Path) -> Champions:
    found = in_use(opened(lake).storage)
    assert found is not None
    return found
