"""Trying a challenger on the service's traffic: started, stopped, and what came of it. Every step is written down with who and why."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import SHADOW_SCORES
from app.errors import LakeNotFound, ModelError, UsageError
from app.features import feature_set
from app.lake import delta, registry, rollouts
from app.lake.lake import Lake
from app.lake.rollouts import CANARY, SHADOW, Rollout
from models import champions, profile
from models.champions import read_model

MODES: Final = (SHADOW, CANARY)
_COLUMNS: Final = [
    "transaction_id", "scored_at", "champion_id", "champion_score", "champion_band", "challenger_score", "challenger_band", "answered_by",
]  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """When the service takes a challenger away again."""

    most_errors: float = 0.01
    most_drift: float = 0.25
    least: int = 500


def start(
    lake: Lake, model_id: str, mode: str, share: float, limits: Limits, why: str, who: str, now: datetime, trusted: Path | None = None
) -> Rollout:
    """Let the service try a challenger; an error says why it may not be tried."""
    _require(mode in MODES, f"--mode is {' or '.join(MODES)}, not {mode}")
    _require(0 < share <= 1, f"--share is over 0 and at most 1, not {share:g}")
    _require(0 <= limits.most_errors <= 1, f"--most-errors is a share from 0 to 1, not {limits.most_errors:g}")
    _require(limits.most_drift > 0, f"--most-drift is over 0, not {limits.most_drift:g}")
    _require(limits.least >= 1, f"--least is at least 1, not {limits.least}")
    if delta.open_table(lake.storage, SHADOW_SCORES) is None:
        raise LakeNotFound(
            f"the lake has no table {SHADOW_SCORES.path}, which a version before this made it without; `leofric run` adds it"
        )
    card = registry.card_of(lake.storage, model_id)
    read_model(lake.storage, card, trusted)  # it is whole, it can be read, and it is signed if it must be
    if card.features_version != feature_set.VERSION:
        raise ModelError(
            f"{model_id} was trained on feature set {card.features_version}; this version has {feature_set.VERSION}: train it anew"
        )
    in_use = champions.in_use(lake.storage)
    if in_use is None:
        raise ModelError("there is no champion for it to be tried beside; `leofric models promote` makes one")
    if model_id in (in_use.forest, in_use.ranker):
        raise ModelError(f"{model_id} is the champion: it answers everything already")
    last = rollouts.last(lake.storage)
    if last is not None and rollouts.goes_on(last):
        raise ModelError(f"{last.model_id} is being tried ({last.mode}); end that with `leofric models rollout stop` first")
    number, at = 1 if last is None else last.number + 1, now.isoformat(timespec="seconds")
    begun = Rollout(number, card.kind, model_id, mode, share, limits.most_errors, limits.most_drift, limits.least, why, at, who)
    rollouts.write(lake.storage, begun)
    return begun


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise UsageError(sentence)


def stop(lake: Lake, why: str, who: str, now: datetime) -> Rollout:
    """End the rollout that goes on; ModelError if there is none."""
    last = rollouts.last(lake.storage)
    if last is None or not rollouts.goes_on(last):
        raise ModelError("no rollout goes on")
    return rollouts.end(lake.storage, last, why, now.isoformat(timespec="seconds"), who)


def shown(lake: Lake) -> dict[str, Any]:
    """The last rollout, how it ended if it did, and what it has brought to the lake so far; ModelError if there never was one."""
    past = rollouts.past(lake.storage)
    if not past:
        raise ModelError("there never was a rollout; `leofric models rollout start` begins one")
    ended = None if rollouts.goes_on(past[-1]) else past[-1]
    begun = past[-1] if ended is None else past[-2]
    return {
        "rollout": begun.number,
        "mode": begun.mode,
        "kind": begun.kind,
        "model_id": begun.model_id,
        "share": begun.share,
        "limits": {"most_errors": begun.most_errors, "most_drift": begun.most_drift, "least": begun.least},
        "started": _step(begun),
        "ended": None if ended is None else _step(ended),
        **_results(lake, begun),
    }


def _step(of: Rollout) -> dict[str, str]:
    return {"at": of.at, "by": of.by, "why": of.why}


def _results(lake: Lake, rollout: Rollout) -> dict[str, Any]:
    found = lake.table(SHADOW_SCORES).to_pyarrow_dataset().to_table(filter=pc.field("rollout") == rollout.number, columns=_COLUMNS)
    rows = _once(found.sort_by("scored_at"))
    failed = pc.is_null(rows["challenger_score"])
    both = rows.filter(pc.invert(failed))
    bands = Counter(zip(both["champion_band"].to_pylist(), both["challenger_band"].to_pylist(), strict=True))
    before = pc.unique(rows["champion_id"].drop_null()).to_pylist()
    return {
        "payments": rows.num_rows,
        "errors": rows.num_rows - both.num_rows,
        "answered_by_challenger": pc.sum(pc.equal(rows["answered_by"], "challenger")).as_py() or 0,
        "drift": _psi(lake, rollout.model_id, both["challenger_score"]),
        "champion_drift": _psi(lake, before[0], rows["champion_score"].drop_null()) if len(before) == 1 else None,
        "band_changes": sum(count for (champion, challenger), count in bands.items() if champion != challenger),
        "bands": [{"champion": champion, "challenger": its, "payments": count} for (champion, its), count in sorted(bands.items())],
    }


def _once(rows: pa.Table) -> pa.Table:
    """Each payment as it was tried first: a service that has started anew may have tried one again."""
    ids = rows["transaction_id"].combine_chunks().dictionary_encode()
    ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    return rows.take(pa.array(np.sort(np.unique(ids.indices.to_numpy(), return_index=True)[1])))


def _psi(lake: Lake, model_id: str, scores: pa.ChunkedArray) -> float | None:
    """How far scores are from the model's training window; None without any."""
    if not len(scores):
        return None
    trained = profile.from_document(registry.card_of(lake.storage, model_id).profile).score
    return profile.psi(trained, trained.counts(scores.to_numpy()))
