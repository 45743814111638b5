"""A person's request to be erased: what is decided about it, and how that is carried out and written down.

In a plain lake what is due is deleted by a run of retention, limited to the person; in a sealed lake everything goes at once when the key
is destroyed, and what is due before that by such a run. What stays is restricted. The record of a decision has pseudonyms and no counts.
"""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from app.compliance.audit import Action
from app.compliance.erasure import Decision, Holding, Outcome, decide, letter
from app.compliance.masking import token, token_key
from app.contracts.lake import QUARANTINE
from app.errors import ErasureRefused, NotReconciled, UsageError
from app.lake import erasures, lock, runs
from app.lake.erasures import Decided
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import subject
from pipelines.audit import audited
from pipelines.progress import Observer
from pipelines.retention import Basis, basis
from pipelines.retention_run import apply
from pipelines.subject import Found, Person, Subjects

Document = dict[str, Any]

_DIGITS: Final = 8


@dataclass(frozen=True)
class Asked:
    """What is known of a person on a day. ``decision`` is what is to be decided now, None if nothing is held; ``made`` what was before."""

    lake: Lake
    subjects: Subjects | None
    person: Person
    journal: Path | None
    found: Found
    basis: Basis
    held: tuple[Holding, ...]
    decision: Decision | None
    made: tuple[Decided, ...]

    @property
    def settled(self) -> Decided | None:
        """The decision that still holds: nothing more is due since, and nothing else asks for what is kept; None if one has to be made."""
        last = self.made[-1] if self.made else None
        if last is None or self.decision is None:
            return last
        same = (_day(self.decision.until), self.decision.holds) == (last.until, last.holds)
        return last if same and not self.decision.going and last.outcome != Outcome.ERASE.value else None


def ask(lake: Lake, person: Person, on: date, journal: Path | None = None, subjects: Subjects | None = None) -> Asked:
    """Find all that is held on a person, and what is to be decided; LakeNotFound if nothing is held, or was ever decided or deleted."""
    found, rests_on = subject.find(lake, person, journal), basis(lake, on)
    held = tuple(subject.holdings(lake, found, rests_on))
    made = tuple(erasures.about(erasures.decisions(lake.storage), person.pseudonyms))
    if not held and not made and not _ran(lake, person):
        raise subject.nothing()
    decision = decide(held, on, has_key=subjects is not None) if held else None
    return Asked(lake, subjects, person, journal, found, rests_on, held, decision, made)


def _ran(lake: Lake, person: Person) -> list[str]:
    """The runs that have deleted something of the person, by their certificates."""
    return [run_id for run_id, *_ in subject.erased_before(runs.runs(lake), person.pseudonyms)]


def checked_why(why: str, person: Person) -> str:
    """The reason for the record; UsageError if it names the account, which the record must not do."""
    if not why.strip():
        raise UsageError("a decision about a person needs a reason: --why")
    plain = re.sub(r"[\s-]+", "", why).upper()
    if any(one.replace("-", "")[-_DIGITS:] in plain for one in person.identifiers):
        raise UsageError("the reason names the account: the record of a decision stays when the data is gone, and must name nobody")
    return why


def carry_out(
    asked: Asked,
    settings: Settings,
    why: str,
    who: str,
    observer: Observer,
    backup_days: int | None = None,
    now: datetime | None = None,
) -> Document:
    """Carry out what is to be decided, and write it down; the decision's record, its facts, and those of the letter.

    ErasureRefused if what is due has changed meanwhile; LakeBusy if somebody else holds the lake; NotReconciled if the run that deletes
    finds other rows than were there. Then nothing is decided, and it can be asked again.
    """
    at = now or datetime.now(UTC)
    if asked.settled is not None:
        return _document(asked, asked.settled, backup_days, already=True)
    checked_why(why, asked.person)
    if asked.decision is not None and asked.decision.by_key:
        return _document(asked, _destroy(asked, why, who, at), backup_days)
    run_id, left = None, asked
    if asked.decision is not None and asked.decision.going:
        run_id = _delete(asked, settings, why, who, observer, at)
        left = _again(asked)
        if left.decision is not None and left.decision.going:
            raise ErasureRefused(f"what is due has changed while run {run_id} deleted the rest; ask again")
    return _document(asked, _written(left, asked.decision, run_id, why, who, at), backup_days)


def _again(asked: Asked) -> Asked:
    """The same of the lake as it is now; a person of whom nothing is left is known by the run that deleted it."""
    return ask(open_lake(asked.lake.storage), asked.person, asked.basis.on, asked.journal, asked.subjects)


def _delete(asked: Asked, settings: Settings, why: str, who: str, observer: Observer, at: datetime) -> str:
    """Delete what is due of the person; the run's id."""
    only = asked.found.only()
    certificate = apply(asked.lake.storage, settings, why, who, observer, at, only, asked.basis.on)
    if certificate is None:
        raise ErasureRefused("what was due is gone meanwhile: somebody else has deleted it; ask again")
    if certificate["status"] != "succeeded":
        raise NotReconciled(f"run {certificate['run_id']} has deleted nothing: {certificate['error']}")
    return str(certificate["run_id"])


def _destroy(asked: Asked, why: str, who: str, at: datetime) -> Decided:
    """Destroy the person's keys: under the lake's lock, and only if everything is due still."""
    storage = asked.lake.storage
    with lock.hold(storage, f"subject-{at:%Y%m%dT%H%M%SZ}"), audited(asked.lake, Action.ERASE, asked.person.name, why) as act:
        now = _again(asked)
        if asked.subjects is None or now.decision is None or not now.decision.by_key:
            raise ErasureRefused("something is kept that was due when it was decided; nothing was destroyed; ask again")
        asked.subjects.destroy(asked.person.known)
        erasures.end_restriction(storage, _tokens(asked))
        made = erasures.decide(storage, _decided(asked, now.decision, None, why, who, at))
        act.object_version, act.details = str(made.number), _told(made)
    return made


def _written(left: Asked, decision: Decision | None, run_id: str | None, why: str, who: str, at: datetime) -> Decided:
    """Write a decision down, and restrict what is left."""
    storage = left.lake.storage
    with lock.hold(storage, f"subject-{at:%Y%m%dT%H%M%SZ}"), audited(left.lake, Action.ERASE, left.person.name, why) as act:
        if left.decision is None:
            erasures.end_restriction(storage, _tokens(left))
        else:
            places = left.found.of(QUARANTINE).select(["source_sha256", "record_number"])
            records = list(zip(*(places[name].to_pylist() for name in places.column_names), strict=True))
            erasures.restrict(storage, _tokens(left), records, at.isoformat(timespec="seconds"))
        made = erasures.decide(storage, _decided(left, decision, run_id, why, who, at))
        act.object_version, act.details = str(made.number), _told(made)
    return made


def _tokens(asked: Asked) -> list[str]:
    key = token_key(asked.lake.key)
    return [token(party.encode(), key) for party in asked.person.parties]


def _decided(asked: Asked, decision: Decision | None, run_id: str | None, why: str, who: str, at: datetime) -> Decided:
    """The record of a decision; without one everything went in a run whose process died before it was written down."""
    number, names = len(erasures.decisions(asked.lake.storage)) + 1, asked.person.pseudonyms
    on, when = asked.basis.on.isoformat(), at.isoformat(timespec="seconds")
    if decision is None:
        return Decided(number, names, Outcome.ERASE.value, on, None, (), (), False, _ran(asked.lake, asked.person)[-1], why, when, who)
    reasons = tuple({"law": one.law, "article": one.article, "until": _day(one.until)} for one in decision.reasons)
    until, holds = _day(decision.until), decision.holds
    return Decided(number, names, decision.outcome.value, on, until, reasons, holds, decision.by_key, run_id, why, when, who)


def _told(made: Decided) -> Document:
    """What the audit trail is told."""
    return {"outcome": made.outcome, "until": made.until, "holds": list(made.holds), "by_key": made.by_key, "run_id": made.run_id}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _document(asked: Asked, made: Decided, backup_days: int | None, *, already: bool = False) -> Document:
    """A decision that was made: its record, and where it was made now what it rests on and the letter's facts."""
    days = asked.subjects.backup_days if asked.subjects is not None else backup_days
    said = None if already or asked.decision is None else asked.decision
    facts = {"facts": None if said is None else said.document(), "letter": [] if said is None else letter(said, days)}
    return {"decision": listed_one(made), "already": already} | facts


def listed_one(made: Decided) -> Document:
    """A decision as JSON has it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(made).items()}


def listed(storage: Storage, on: date) -> list[Document]:
    """Every decision, oldest first: whether it stands, and of those that do whether more is due now."""
    every = erasures.decisions(storage)
    stand = {one.number for one in erasures.last_of_each(every)}
    found = []
    for one in every:
        stands = one.number in stand and one.outcome != Outcome.ERASE.value
        due = stands and one.until is not None and one.until <= on.isoformat()
        found.append(listed_one(one) | {"restricted": stands, "due": due})
    return found
