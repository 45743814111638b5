"""The models in use, loaded once in each process that scores with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from app.compliance import signature
from app.errors import ModelError, UsageError
from app.features import feature_set
from app.lake import registry
from app.lake.registry import Card
from app.lake.storage import Storage
from models import archive, profile
from models.archive import Model
from models.isolation_forest import IsolationForest
from models.profile import Profile
from models.supervised import Ranker
from models.verdicts import Detectors


@dataclass(frozen=True)
class Champions:
    """The ids of the models to score with."""

    forest: str
    ranker: str | None
    alerts_from: datetime  # the forest has seen nothing before: there accounts have no past yet, and everything is unusual


def in_use(storage: Storage) -> Champions | None:
    """The champions; None without an isolation forest. UsageError if one was trained on another feature set."""
    found: Mapping[str, str] = registry.champions(registry.decisions(storage))
    if archive.ISOLATION_FOREST not in found:
        return None
    cards = {kind: registry.card_of(storage, model_id) for kind, model_id in found.items()}
    for card in cards.values():
        feature_set.require(card.features_version)
    begins = datetime.fromisoformat(cards[archive.ISOLATION_FOREST].trained["from"])
    return Champions(found[archive.ISOLATION_FOREST], found.get(archive.RANKER), begins)


@lru_cache(maxsize=2)  # a worker does many tasks with the same models
def load(storage: Storage, champions: Champions, trusted: Path | None) -> Detectors:
    """Read the models; ModelError if one is not what was registered, or not signed with the ``trusted`` key if there is one."""
    forest, forest_profile = _model(storage, champions.forest, trusted)
    if not isinstance(forest, IsolationForest):
        raise ModelError(f"{champions.forest} is no isolation forest")
    if champions.ranker is None:
        return Detectors(forest, forest_profile)
    ranker, ranker_profile = _model(storage, champions.ranker, trusted)
    if not isinstance(ranker, Ranker):
        raise ModelError(f"{champions.ranker} is no ranker")
    return Detectors(forest, forest_profile, ranker, ranker_profile)


def _model(storage: Storage, model_id: str, trusted: Path | None) -> tuple[Model, Profile]:
    card = registry.card_of(storage, model_id)
    return read_model(storage, card, trusted), profile.from_document(card.profile)


def read_model(storage: Storage, card: Card, trusted: Path | None) -> Model:
    """A model; ModelError if its bytes are not those of its card, or the card is not signed with the ``trusted`` key if there is one."""
    if trusted is not None and not signature.holds(card.signed_part(), card.signature, key_in(trusted)):
        why = "is not signed" if card.signature is None else "has a signature that is not of the trusted key"
        raise ModelError(f"{card.model_id} {why}; train it anew with LEOFRIC_SIGNING_KEY_FILE")
    return archive.unpack(registry.read(storage, card))


def key_in(path: Path) -> bytes:
    """A key's file; UsageError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error}") from None
