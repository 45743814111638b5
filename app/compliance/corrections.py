"""What may be decided about a quarantined record, and what its decisions make of it.

A record's state is what its decisions, in their order, lead to. Who proposes a correction cannot approve it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from app.compliance.certificate import canonical
from app.contracts import landing
from app.errors import FourEyesNeeded, ReviewRefused


class State(StrEnum):
    """What a quarantined record is."""

    OPEN = "open"  # nobody has proposed anything that still stands
    PROPOSED = "proposed"
    APPROVED = "approved"  # the next replay takes it
    CORRECTED = "corrected"  # it is in silver, or a duplicate of what is there
    CLOSED = "closed"  # it is left out for good


class Act(StrEnum):
    """What can be done with one. The last three are what a replay found."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    CLOSED = "closed"  # the approval of a proposal to leave the record out for good
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    RETURNED = "returned"  # even so corrected it is not acceptable


OUTCOMES: Final = (Act.ACCEPTED, Act.DUPLICATE, Act.RETURNED)

TRANSITIONS: Final[Mapping[tuple[State, Act], State]] = {
    (State.OPEN, Act.PROPOSED): State.PROPOSED,
    (State.PROPOSED, Act.APPROVED): State.APPROVED,
    (State.PROPOSED, Act.CLOSED): State.CLOSED,
    (State.PROPOSED, Act.REJECTED): State.OPEN,
    (State.APPROVED, Act.REJECTED): State.OPEN,
    (State.APPROVED, Act.ACCEPTED): State.CORRECTED,
    (State.APPROVED, Act.DUPLICATE): State.CORRECTED,
    (State.APPROVED, Act.RETURNED): State.OPEN,
}
"""Everything that may happen; what is not here is refused."""

_SHOWN_DIGITS = 12


class Item(NamedTuple):
    """A quarantined record: its file's hash and its number there."""

    source_sha256: str
    record_number: int

    def __str__(self) -> str:
        return f"{self.source_sha256[:_SHOWN_DIGITS]}:{self.record_number}"


@dataclass(frozen=True)
class Decision:
    """One row of control/corrections."""

    source_sha256: str
    record_number: int
    act: Act
    proposal: int  # number of the decision that proposed what this one is about
    correction: str | None  # of a proposal: the new values by column, as canonical JSON; None: leave the record out for good
    rule: str | None  # of a proposal: the rule that made it, if one did
    reasons: tuple[str, ...]  # of a returned record: what is wrong with it now
    amount_minor: int | None  # of a returned record: what could be read of it, so corrected
    currency: str | None
    who: str
    why: str
    sequence: int  # number of the decision; those of many records at once share it
    decided_at: datetime
    run_id: str | None  # of an outcome: the replay

    @property
    def item(self) -> Item:
        return Item(self.source_sha256, self.record_number)


@dataclass(frozen=True)
class Standing:
    """Where a record stands."""

    state: State = State.OPEN
    proposal: int | None = None  # that stands, or was carried out
    correction: str | None = None
    proposed_by: str | None = None
    approved_by: str | None = None
    since: datetime | None = None  # of the last decision
    returned: Decision | None = None  # the last replay that did not help


UNDECIDED: Final = Standing()


def after(standing: Standing, decision: Decision) -> Standing:
    """Where a record stands after one more decision; ReviewRefused says why there cannot be such a decision."""
    state = TRANSITIONS.get((standing.state, decision.act))
    if state is None:
        raise ReviewRefused(f"record {decision.item} {_SAID[standing.state]}: it cannot be {decision.act}; nothing was changed")
    if decision.act is Act.PROPOSED:
        if decision.proposal != decision.sequence:
            raise ReviewRefused(f"record {decision.item}: decision {decision.sequence} proposes under the number {decision.proposal}")
        who = {"proposed_by": decision.who, "correction": decision.correction}
        return Standing(state, decision.proposal, since=decision.decided_at, returned=standing.returned, **who)
    if decision.proposal != standing.proposal:
        raise ReviewRefused(
            f"record {decision.item} has proposal {standing.proposal} now, not {decision.proposal}; look at it again; nothing was changed"
        )
    if decision.act in (Act.APPROVED, Act.CLOSED):
        _check_approval(standing, decision)
        return _moved(standing, state, decision, approved_by=decision.who)
    if decision.act in (Act.REJECTED, Act.RETURNED):
        return Standing(state, since=decision.decided_at, returned=decision if decision.act is Act.RETURNED else standing.returned)
    return _moved(standing, state, decision, approved_by=standing.approved_by)


def _moved(standing: Standing, state: State, decision: Decision, approved_by: str | None) -> Standing:
    kept = (standing.proposal, standing.correction, standing.proposed_by)
    return Standing(state, *kept, approved_by, decision.decided_at, standing.returned)


def _check_approval(standing: Standing, decision: Decision) -> None:
    if decision.who == standing.proposed_by:
        raise FourEyesNeeded(
            f"record {decision.item}: {decision.who} proposed this and cannot approve it; somebody else must; nothing was changed"
        )
    if (decision.act is Act.CLOSED) != (standing.correction is None):
        raise ReviewRefused(f"record {decision.item}: proposal {decision.proposal} is not one that can be {decision.act}")


_SAID = {
    State.OPEN: "is open: nothing is proposed",
    State.PROPOSED: "has a proposal that waits for approval",
    State.APPROVED: "is approved already",
    State.CORRECTED: "was corrected and replayed: it is closed",
    State.CLOSED: "was left out for good: it is closed",
}


def standings(decisions: Iterable[Decision]) -> dict[Item, Standing]:
    """Where each record stands about which anything was decided; the decisions come in their order."""
    found: dict[Item, Standing] = {}
    for decision in decisions:
        found[decision.item] = after(found.get(decision.item, UNDECIDED), decision)
    return found


def seen(decisions: Iterable[Decision]) -> tuple[dict[Item, Standing], list[str]]:
    """The same where some decision could not have been made, for somebody changed the table: it is passed over, and a sentence names it.

    For whoever looks or counts. Whoever decides or replays uses ``standings``.
    """
    found: dict[Item, Standing] = {}
    said = []
    for decision in decisions:
        try:
            found[decision.item] = after(found.get(decision.item, UNDECIDED), decision)
        except ReviewRefused as error:
            said.append(f"decision {decision.sequence}: {error}")
    return found, said


def digest(decisions: Iterable[Decision]) -> str:
    """SHA-256, in hexadecimal, over decisions in their order, a canonical line each."""
    lines = hashlib.sha256()
    for decision in decisions:
        plain = asdict(decision) | {"decided_at": decision.decided_at.isoformat(), "reasons": list(decision.reasons)}
        lines.update(canonical(plain).encode() + b"\n")
    return lines.hexdigest()


def correction_of(values: Mapping[str, str], unreadable: bool) -> str:
    """New values by landing column as the canonical JSON that a proposal carries.

    ReviewRefused if a column is unknown, a value could not stand in a landing file, or nothing can come of it: a record that could not be
    read (``unreadable``) needs all that version 1 of the landing contract has.
    """
    for name, value in values.items():
        if name not in landing.NAMES:
            raise ReviewRefused(f"there is no column {name}; the columns are {', '.join(landing.NAMES)}")
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ReviewRefused(f"the new value of {name} is not text that a landing file could hold: it has a NUL or is not UTF-8")
    missing = [name for name in landing.VERSIONS[1] if name not in values]
    if unreadable and missing:
        raise ReviewRefused(f"the record could not be read: give all twelve values; missing: {', '.join(missing)}")
    if not values:
        raise ReviewRefused("a correction changes one column at least")
    return canonical(dict(values))


def values_of(correction: str) -> dict[str, str]:
    """What ``correction_of`` wrote."""
    return dict(json.loads(correction))
