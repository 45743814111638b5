"""Which model is in use: listed, promoted past a gate, rolled back. Every decision is written down with who and why."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import ModelError
from app.features import feature_set
from app.lake import registry, rollouts
from app.lake.lake import Lake
from app.lake.registry import Card, Decision
from models.champions import read_model

PROMOTE, ROLLBACK = "promote", "rollback"
_GATED = ("average_precision", "recall_at_1pct_fpr")
_TOLERANCE = 0.02
"""A challenger may be this much worse than the champion in a gated metric: so much is noise between two seeds."""


def listed(lake: Lake) -> list[dict[str, Any]]:
    """Every model: its id, kind, stage, and how it did on its holdout."""
    decisions = registry.decisions(lake.storage)
    champions, once = set(registry.champions(decisions).values()), {decision.champion for decision in decisions}
    return [
        {
            "model_id": card.model_id,
            "stage": "champion" if card.model_id in champions else "retired" if card.model_id in once else "challenger",
            "features_version": card.features_version,
            "trained_to": card.trained["to"],
            "payments": card.trained["payments"],
            **{name: None if card.holdout is None else round(card.holdout["metrics"][name], 4) for name in ("auroc", *_GATED)},
            "created_at": card.created_at,
            "created_by": card.created_by,
        }
        for card in registry.cards(lake.storage)
    ]


def newest(lake: Lake, kind: str) -> str:
    """The id of the newest model of a kind; ModelError if there is none."""
    found = [card.model_id for card in registry.cards(lake.storage) if card.kind == kind]
    if not found:
        raise ModelError(f"the lake has no {kind}; `leofric train` makes one")
    return found[-1]


def promote(
    lake: Lake, model_id: str, why: str, who: str, now: datetime, *, past_gate: bool = False, trusted: Path | None = None
) -> Decision:
    """Make a model the champion of its kind; ModelError if the gate holds it back. ``past_gate`` overrides the metrics, nothing else."""
    card = registry.card_of(lake.storage, model_id)
    read_model(lake.storage, card, trusted)  # it is whole, it can be read, and it is signed if it must be
    if card.features_version != feature_set.VERSION:
        raise ModelError(
            f"{model_id} was trained on feature set {card.features_version}; this version has {feature_set.VERSION}: train it anew"
        )
    decisions = registry.decisions(lake.storage)
    before = registry.champions(decisions).get(card.kind)
    if before == model_id:
        raise ModelError(f"{model_id} is the champion already")
    held = None if past_gate else held_back(card, before)
    if held is not None:
        raise ModelError(f"{model_id} is not promoted: {held}")
    return _decide(lake, decisions, card.kind, PROMOTE, model_id, before, why, who, now)


def held_back(card: Card, champion: str | None) -> str | None:
    """Why the gate does not let a challenger pass; None if it does."""
    if card.holdout is None:
        return "it was not measured on a holdout; train it with --labels, or promote it with --without-gate and a reason"
    if card.holdout["metrics"]["auroc"] <= 0.5:
        return f"on its holdout it ranks no better than chance (AUROC {card.holdout['metrics']['auroc']:.3f})"
    if champion is None:
        return None
    theirs: Mapping[str, float] | None = card.holdout["champion_metrics"] if card.holdout["champion"] == champion else None
    if theirs is None:
        return f"it was not compared with {champion}, which is the champion now; train it anew"
    for name in _GATED:
        if card.holdout["metrics"][name] < theirs[name] - _TOLERANCE:
            return f"its {name} is {card.holdout['metrics'][name]:.3f}, the champion's on the same payments {theirs[name]:.3f}"
    return None


def rollback(lake: Lake, kind: str, why: str, who: str, now: datetime, trusted: Path | None = None) -> Decision:
    """Bring back the champion before the one that is in use."""
    decisions = registry.decisions(lake.storage)
    past = [decision for decision in decisions if decision.kind == kind]
    if not past or past[-1].before is None:
        raise ModelError(f"there is no {kind} before the one in use")
    # After a rollback the one before is the one that was in use before the restored one came.
    came = next(decision for decision in past if decision.champion == past[-1].champion)
    target = past[-1].before if past[-1].action == PROMOTE else came.before
    if target is None:
        raise ModelError(f"there is no {kind} before {past[-1].champion}")
    read_model(lake.storage, registry.card_of(lake.storage, target), trusted)
    return _decide(lake, decisions, kind, ROLLBACK, target, past[-1].champion, why, who, now)


def _decide(
    lake: Lake,
    judged_by: Sequence[Decision],
    kind: str,
    action: str,
    champion: str,
    before: str | None,
    why: str,
    who: str,
    now: datetime,
) -> Decision:
    # The number follows from the decisions that this one was judged by: if there is another meanwhile, it is taken, and this one fails.
    number = len(judged_by) + 1
    decision = Decision(number, kind, action, champion, before, why, now.isoformat(timespec="seconds"), who)
    registry.decide(lake.storage, decision)
    _end_trial(lake, decision)
    return decision


def _end_trial(lake: Lake, decision: Decision) -> None:
    """A model that is the champion is not tried any more. (The service ends a trial of its champion too, should this not come to it.)"""
    tried = rollouts.last(lake.storage)
    if tried is not None and rollouts.goes_on(tried) and tried.model_id == decision.champion:
        with suppress(ModelError):  # somebody has ended it just now
            rollouts.end(lake.storage, tried, f"it is the champion now: {decision.why}", decision.at, decision.by)
