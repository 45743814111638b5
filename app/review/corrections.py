"""Decisions about quarantined records, as the lake keeps them; and how one is made: alone, and whole or not at all."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from app.compliance.corrections import UNDECIDED, Act, Decision, Item, Standing, State, after, standings
from app.contracts.lake import CORRECTIONS
from app.errors import LakeBusy, ReviewRefused, UnknownRecord
from app.lake import delta, layout, lock
from app.lake.delta import Change
from app.lake.lake import Lake, create, has
from app.review import quarantine
from app.review.sealed_corrections import sealed

APPLICATION: Final = "leofric-review"
"""The application id of decisions that people make; its version is the decision's number. Those of replays have the runs'."""

_MOST_FILES: Final = 16
_MOST_TOLD: Final = 20


def decisions(lake: Lake) -> list[Decision]:
    """Every decision, in order; in a sealed lake new values are sealed (``opened``)."""
    if not has(lake, CORRECTIONS):
        return []
    rows = lake.table(CORRECTIONS).to_pyarrow_table()
    keys = [("sequence", "ascending"), ("source_sha256", "ascending"), ("record_number", "ascending")]
    return [_decision(row) for row in rows.sort_by(keys).to_pylist()]


def opened(lake: Lake, made: Sequence[Decision]) -> list[Decision]:
    """The same decisions with new values as they were written."""
    values = lake.opened(pa.table({"correction": pa.array([one.correction for one in made], pa.string())}))
    return [replace(one, correction=value) for one, value in zip(made, values["correction"].to_pylist(), strict=True)]


def _decision(row: Mapping[str, Any]) -> Decision:
    return Decision(**(dict(row) | {"act": Act(row["act"]), "reasons": tuple(row["reasons"] or ())}))


def next_sequence(before: Sequence[Decision]) -> int:
    """The number of the decision after these."""
    return before[-1].sequence + 1 if before else 1


def rows_of(made: Sequence[Decision]) -> pa.Table:
    """Decisions as rows of control/corrections."""
    return pa.Table.from_pylist([asdict(one) | {"act": one.act.value, "reasons": list(one.reasons)} for one in made], CORRECTIONS.schema)


@dataclass(frozen=True)
class Decider:
    """Who decides, why, and when."""

    who: str
    why: str
    now: datetime

    def decision(
        self, item: Item, act: Act, proposal: int, sequence: int, correction: str | None = None, rule: str | None = None
    ) -> Decision:
        """What a person decides about one record."""
        return Decision(
            *item, act, proposal, correction, rule, (), None, None, self.who, self.why, sequence, self.now, None
        )  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """Which records a decision is about: those named, all of a proposal, or those named if that is still their proposal."""

    items: Sequence[Item] = ()
    proposal: int | None = None


def propose(lake: Lake, corrections: Mapping[Item, str | None], rule: str | None, by: Decider) -> list[Decision]:
    """Propose a correction of each of these quarantined records; None: to leave it out for good. They get one number."""
    if not corrections:
        raise ReviewRefused("there is no record to propose a correction for; nothing was changed")
    _check_that_all_are_known(lake, corrections)

    def made(before: Sequence[Decision]) -> list[Decision]:
        number = next_sequence(before)
        return [by.decision(item, Act.PROPOSED, number, number, correction, rule) for item, correction in sorted(corrections.items())]

    return _decide(lake, by, made)


def _check_that_all_are_known(lake: Lake, corrections: Iterable[Item]) -> None:
    rows = quarantine.records(lake)
    there = set(zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), strict=True))
    unknown = [str(item) for item in corrections if tuple(item) not in there]
    if unknown:
        raise UnknownRecord(f"no record {unknown[0]} is in quarantine; nothing was changed")


def approve(lake: Lake, chosen: Chosen, by: Decider) -> list[Decision]:
    """Approve proposals of somebody else; the next replay carries them out."""

    def made(before: Sequence[Decision]) -> list[Decision]:
        found = _chosen(before, chosen, (State.PROPOSED,))
        acts = {item: Act.CLOSED if _closes(one) else Act.APPROVED for item, one in found.items()}
        return [by.decision(item, acts[item], _proposal(one, chosen), next_sequence(before)) for item, one in found.items()]

    return _decide(lake, by, made)


def reject(lake: Lake, chosen: Chosen, by: Decider) -> list[Decision]:
    """Reject proposals, approved ones too: their records are open again."""

    def made(before: Sequence[Decision]) -> list[Decision]:
        found = _chosen(before, chosen, (State.PROPOSED, State.APPROVED))
        return [by.decision(item, Act.REJECTED, _proposal(one, chosen), next_sequence(before)) for item, one in found.items()]

    return _decide(lake, by, made)


def told(made: Sequence[Decision]) -> dict[str, Any]:
    """What the audit trail is told of a decision: how many records, some of them, and the rule; control/corrections has each."""
    acts = Counter(one.act.value for one in made)
    named = {"number": made[0].sequence, "proposals": sorted({one.proposal for one in made}), "acts": dict(acts)}
    return named | {"items": [str(one.item) for one in made[:_MOST_TOLD]], "rule": made[0].rule}


def document(made: Sequence[Decision]) -> dict[str, Any]:
    """What was decided, as JSON."""
    return {
        "number": made[0].sequence,
        "proposals": sorted({one.proposal for one in made}),
        "items": [{"item": str(one.item), "act": one.act.value} for one in made],
    }


def _closes(standing: Standing) -> bool:
    return standing.state is State.PROPOSED and standing.correction is None


def _proposal(standing: Standing, chosen: Chosen) -> int:
    return chosen.proposal or standing.proposal or 0


def _chosen(before: Sequence[Decision], chosen: Chosen, waiting: tuple[State, ...]) -> dict[Item, Standing]:
    found = standings(before)
    if chosen.items:
        return {item: found.get(item, UNDECIDED) for item in sorted(set(chosen.items))}
    of_proposal = {item: one for item, one in found.items() if one.proposal == chosen.proposal and one.state in waiting}
    if chosen.proposal is None or not of_proposal:
        raise ReviewRefused(
            f"proposal {chosen.proposal} has no record that waits; `leofric quarantine list --state proposed` shows what does;"
            " nothing was changed"
        )
    return dict(sorted(of_proposal.items()))


def _decide(lake: Lake, by: Decider, make: Callable[[Sequence[Decision]], list[Decision]]) -> list[Decision]:
    """Make a decision while nobody else can; ReviewRefused or LakeBusy, and nothing changed, if it cannot be made."""
    if not by.why.strip():
        raise ReviewRefused("say why: a decision without a reason cannot be reviewed; nothing was changed")
    with lock.hold(lake.storage, f"review by {by.who}") as held:
        _check_that_no_run_died(lake)
        create(lake.storage, lake.key)
        lake.follow_subjects()  # what is added to an older state of the key store could bring back who was erased
        before = decisions(lake)
        made = make(before)
        found = standings(before)
        for decision in made:
            found[decision.item] = after(found.get(decision.item, UNDECIDED), decision)
        held.confirm()
        _store(lake, made, by.now)
    return made


def _check_that_no_run_died(lake: Lake) -> None:
    """A replay that died may yet be finished: what it took must not be decided anew before it is."""
    if next(iter(lake.storage.entries(layout.JOURNAL)), None) is not None:
        raise LakeBusy(f"a run on {lake.storage.root} died before its end; the next run finishes or undoes it, then decide again")


def _store(lake: Lake, made: Sequence[Decision], now: datetime) -> None:
    sequence = made[0].sequence
    # Whoever dies between the file and its commit leaves a file of this name, which the next decision overwrites.
    name = f"part-decision-{sequence:08d}"
    staged = delta.stage(lake.storage, CORRECTIONS, name, rows_of(sealed(lake, made)), {}, now)
    table = lake.table(CORRECTIONS)
    delta.commit(table, CORRECTIONS, Change((staged,)), sequence, name, now, APPLICATION)
    delta.compact_if_scattered(lake.storage, table, CORRECTIONS, _MOST_FILES, now)
