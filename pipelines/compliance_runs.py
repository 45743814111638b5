"""Of the evidence of a period: its runs, their control totals, whether their certificates hold now, and the chain of certificates."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.compliance.certificate import GENESIS
from app.lake import runs
from app.lake.lake import Lake
from pipelines.verify import verify

_PLACES: Final = ("accepted", "quarantined", "duplicates")


@dataclass(frozen=True)
class Certified:
    """A run by its certificate."""

    run_id: str
    sequence: int
    started_at: datetime
    hash: str
    document: Mapping[str, Any]


def certified(lake: Lake) -> list[Certified]:
    """Every run of the lake, the oldest first."""
    return [
        Certified(row["run_id"], row["sequence"], row["started_at"], row["hash"], json.loads(row["certificate"])) for row in runs.runs(lake)
    ]


def runs_of(lake: Lake, every: Sequence[Certified], within: Callable[[datetime], bool]) -> dict[str, Any]:
    """The runs of a period. All certificates of the lake are verified: a fault of another time is said, too."""
    faults = {verdict.run_id: len(verdict.faults) for verdict in verify(lake)}
    chosen = [one for one in every if within(one.started_at)]
    return {
        "runs": [_row(one, faults.get(one.run_id, 0)) for one in chosen],
        "money": [row for one in chosen for row in _money({"run_id": one.run_id}, one.document["totals"]["amount_minor"])],
        "by_kind": _by_kind(chosen),
        "money_by_kind": _money_by_kind(chosen),
        "rejected_files": _rejected(chosen),
        "certificates_of_the_lake": len(every),
        "that_do_not_hold": [{"run_id": run_id, "faults": count} for run_id, count in faults.items() if count],
    }


def _row(one: Certified, faults: int) -> dict[str, Any]:
    totals = one.document["totals"]
    return {
        "run_id": one.run_id,
        "sequence": one.sequence,
        "kind": one.document["kind"],
        "status": one.document["status"],
        "files": len(one.document["files"]),
        "records": totals["records"],
        **{place: totals[place] for place in _PLACES},
        "scored": sum(of["records"] for of in one.document.get("scored", {}).values()),
        "adds_up": adds_up(totals),
        "holds_now": not faults,
        "faults": faults,
    }


def adds_up(totals: Mapping[str, Any]) -> bool:
    """Whether records, and each currency's minor units, are what the three places have together."""
    sums = [(totals["records"], [totals[place] for place in _PLACES])]
    sums += [(amounts["source"], [amounts[place] for place in _PLACES]) for amounts in totals["amount_minor"].values()]
    return all(source == sum(places) for source, places in sums)


def _money(of: Mapping[str, str], amount_minor: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    return [dict(of) | {"currency": currency} | dict(sides) for currency, sides in sorted(amount_minor.items())]


def _by_kind(chosen: Sequence[Certified]) -> list[dict[str, Any]]:
    """Sums by kind of run: a replay takes records that a load has counted already, so kinds are not added up."""
    sums: dict[str, Counter[str]] = {}
    for one in chosen:
        said = sums.setdefault(one.document["kind"], Counter())
        said.update({"runs": 1, "not_succeeded": int(one.document["status"] != "succeeded")})
        said.update({name: one.document["totals"][name] for name in ("records", *_PLACES)})
    return [{"kind": kind} | dict(said) for kind, said in sorted(sums.items())]


def _money_by_kind(chosen: Sequence[Certified]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Counter[str]]] = {}
    for one in chosen:
        of_kind = sums.setdefault(one.document["kind"], {})
        for currency, sides in one.document["totals"]["amount_minor"].items():
            of_kind.setdefault(currency, Counter()).update(sides)
    return [row for kind, money in sorted(sums.items()) for row in _money({"kind": kind}, money)]


def _rejected(chosen: Sequence[Certified]) -> list[dict[str, Any]]:
    """Files that were rejected whole, by their hash and the code of the reason: a file's name is free text."""
    return [
        {"run_id": one.run_id, "sha256": file["sha256"], "code": file["error"]["code"]}
        for one in chosen
        for file in one.document["files"]
        if file["status"] == "rejected"
    ]


def chain(every: Sequence[Certified], begin: datetime, end: datetime) -> dict[str, Any]:
    """The head of the chain of certificates before the period and after it; the hash of the lake's first says which lake it is."""
    before = [one for one in every if one.started_at < begin]
    after = [one for one in every if one.started_at < end]
    return {"first": every[0].hash, "before": _head(before), "after": _head(after), "now": _head(every)}


def _head(past: Sequence[Certified]) -> dict[str, Any]:
    return {"sequence": past[-1].sequence, "hash": past[-1].hash} if past else {"sequence": 0, "hash": GENESIS}
