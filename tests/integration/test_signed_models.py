"""Signed models: with a trusted key, only what was signed with its other half is promoted and used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.compliance import signature
from app.errors import ModelError, UsageError
from app.lake import layout, registry
from app.settings import Settings
from models import archive, champions
from models.isolation_forest import IsolationForest
from pipelines import models, score, train
from pipelines.executor import InProcess
from pipelines.progress import Silent
from tests.support.champion import NOW, forest, put_into_use
from tests.support.lake import load, opened
from tests.support.landing import records, write_csv


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write_csv(tmp_path / "landing/a.csv", records(1, 90))
    load(tmp_path / "landing", tmp_path / "lake")
    return tmp_path / "lake"


def test_a_model_that_training_signed_is_promoted_and_used(lake: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    settings = Settings(signing_key_file=private, trusted_key_file=public)
    (card,) = train.train(opened(lake), None, 1, Silent(), NOW, "me", settings)
    models.promote(opened(lake), card.model_id, "x", "me", NOW, past_gate=True, trusted=public)
    assert score.score(opened(lake).storage, settings, InProcess(), Silent(), NOW)["status"] == "succeeded"


def test_a_model_that_nobody_signed_is_neither_promoted_nor_used(lake: Path, keys: tuple[Path, Path]) -> None:
    _, public = keys
    put_into_use(lake)
    with pytest.raises(ModelError, match="isolation_forest-small is not signed"):
        score.score(opened(lake).storage, Settings(trusted_key_file=public), InProcess(), Silent(), NOW)
    card, data = forest()
    registry.keep(opened(lake).storage, replace(card, model_id="another"), data)
    with pytest.raises(ModelError, match="another is not signed"):
        models.promote(opened(lake), "another", "x", "me", NOW, past_gate=True, trusted=public)


def test_a_card_that_was_changed_after_it_was_signed_is_refused(lake: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    card, data = forest()
    signed = replace(card, signature=signature.sign(card.signed_part(), private.read_bytes()))
    storage = opened(lake).storage
    registry.keep(storage, signed, data)
    assert champions.read_model(storage, registry.card_of(storage, card.model_id), public).features_version == card.features_version
    path = lake / layout.model(card.model_id, "json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 2}))
    with pytest.raises(ModelError, match="not of the trusted key"):
        champions.read_model(storage, registry.card_of(storage, card.model_id), public)


def test_a_model_whose_bytes_were_changed_is_refused_whatever_its_signature(lake: Path) -> None:
    put_into_use(lake)
    card, data = forest()
    model = archive.unpack(data)
    assert isinstance(model, IsolationForest)
    (lake / layout.model(card.model_id, "npz")).write_bytes(archive.pack(replace(model, samples=2)))
    with pytest.raises(ModelError, match="SHA-256 differs"):
        score.score(opened(lake).storage, Settings(), InProcess(), Silent(), NOW)


def test_a_key_that_is_not_there_is_wrong_usage(lake: Path, tmp_path: Path) -> None:
    put_into_use(lake)
    with pytest.raises(UsageError, match=r"nowhere\.pem cannot be read"):
        score.score(opened(lake).storage, Settings(trusted_key_file=tmp_path / "nowhere.pem"), InProcess(), Silent(), NOW)
