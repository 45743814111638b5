"""The registry of models in a lake: each model and its card for ever, and every decision which of them is in use.

Nothing is ever changed: a decision is a new object with the next number, and two people who decide at once cannot both get it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.errors import ModelError
from app.lake import layout
from app.lake.storage import Storage


@dataclass(frozen=True)
class Card:
    """What there is to know of a model."""

    model_id: str
    kind: str
    features_version: int
    seed: int
    parameters: Mapping[str, Any]
    trained: Mapping[str, Any]  # from, to, payments
    profile: Mapping[str, Any]  # models.profile: what payments are held against
    holdout: Mapping[str, Any] | None  # from, to, metrics, and the champion's on the same payments; None without labels
    silver_version: int  # of silver/transactions
    code_version: str
    sha256: str  # of the model's bytes
    created_at: str
    created_by: str
    signature: str | None = None  # of all the rest, in hexadecimal

    def signed_part(self) -> bytes:
        """What the signature is of: the card without it, which has the SHA-256 of the model's bytes."""
        return json.dumps(asdict(replace(self, signature=None)), sort_keys=True).encode()


@dataclass(frozen=True)
class Decision:
    """Which model of a kind is the champion from now on."""

    number: int  # 1, 2, … over all kinds
    kind: str
    action: str  # promote or rollback
    champion: str  # a model_id
    before: str | None
    why: str
    at: str
    by: str


def keep(storage: Storage, card: Card, data: bytes) -> None:
    """Store a new model, and then its card: what has a card is complete."""
    if not storage.put_new(layout.model(card.model_id, "npz"), data):
        raise ModelError(f"the lake has a model {card.model_id} already")
    storage.put_new(layout.model(card.model_id, "json"), json.dumps(asdict(card), indent=1).encode())


def cards(storage: Storage) -> list[Card]:
    """Every model, the oldest first."""
    found = [_card(storage, entry.path) for entry in storage.entries(layout.MODELS) if entry.path.endswith(".json")]
    return sorted(found, key=lambda card: (card.created_at, card.model_id))


def card_of(storage: Storage, model_id: str) -> Card:
    """One model's card; ModelError if there is no such model."""
    try:
        return _card(storage, layout.model(model_id, "json"))
    except FileNotFoundError:
        raise ModelError(f"the lake has no model {model_id}; `leofric models list` names those that it has") from None


def _card(storage: Storage, path: str) -> Card:
    return Card(**json.loads(bytes(storage.read(path))))


def read(storage: Storage, card: Card) -> bytes:
    """The model's bytes; ModelError if they are not the ones that were kept."""
    data = bytes(storage.read(layout.model(card.model_id, "npz")))
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ModelError(f"the file of model {card.model_id} is not the one that was registered: its SHA-256 differs from the card's")
    return data


def decisions(storage: Storage) -> list[Decision]:
    """Every decision, in order."""
    found = [Decision(**json.loads(bytes(storage.read(entry.path)))) for entry in storage.entries(layout.DECISIONS)]
    return sorted(found, key=lambda decision: decision.number)


def champions(past: Sequence[Decision]) -> dict[str, str]:
    """Of each kind the model that is in use after these decisions."""
    return {decision.kind: decision.champion for decision in past}


def decide(storage: Storage, decision: Decision) -> None:
    """Write a decision down; ModelError if somebody else has decided meanwhile."""
    if not storage.put_new(layout.decision(decision.number), json.dumps(asdict(decision), indent=1).encode()):
        raise ModelError("somebody else has changed the champion meanwhile; look at `leofric models list`, and decide again")
