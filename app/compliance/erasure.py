"""Whether what is held on a person may be erased: all of it, a part, or nothing yet; and the facts of the letter that says so.

The right to erasure ends where a law demands keeping (UK GDPR Article 17(3)(b)): payments are kept as MLR 2017 regulation 40 says. What
must stay is restricted: kept, and else not used (Article 18(2)). What no clock asks for any more is erased, whoever else is in the payment.
Nothing here reads a clock of its own: the verdicts are those of ``app.compliance.retention``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final

from app.compliance.retention import Fate, Verdict
from app.contracts.lake import ALERTS, FEEDBACK, SCORES, SHADOW_SCORES

DUTY_TO_KEEP: Final = "UK GDPR Article 17(3)(b)"
LEGAL_CLAIMS: Final = "UK GDPR Article 17(3)(b) or (e)"
RESTRICTION: Final = "UK GDPR Article 18(2)"
COMPLAINT: Final = (
    "You may complain to the Information Commissioner (ico.org.uk), and you may go to court (UK GDPR Articles 12(4), 77, 79)."
)

OFFICERS: Final = frozenset(contract.path for contract in (ALERTS, SCORES, SHADOW_SCORES, FEEDBACK))
"""What says whether somebody was suspected: in no letter and no copy, for to tell may be an offence (POCA 2002 s. 333A)."""


class Outcome(StrEnum):
    """What is decided."""

    ERASE = "erase"
    PART = "part"
    RESTRICT = "restrict"


class Side(StrEnum):
    """What the person is to a record."""

    BOOKED = "booked account"
    OTHER = "other side"  # the payment is another account's, whose clock it is kept by
    ABOUT = "about the person"


@dataclass(frozen=True)
class Holding:
    """Rows of one table on a person with one verdict; first and last are the days that they are of, None where they have none.

    ``follows``: they go when their payment goes, so that ``verdict.until`` is only a limit. ``stays`` says why they are not deleted though
    they are due, such as bytes of a file that has others' records, too; empty where they are.
    """

    table: str
    side: Side
    rows: int
    first: date | None
    last: date | None
    verdict: Verdict
    follows: bool = False
    stays: str = ""


@dataclass(frozen=True)
class Reason:
    """A rule by which something is kept, how many rows, and the first day on which it asks for none of them; None if that is not known."""

    law: str
    article: str
    rows: int
    until: date | None


@dataclass(frozen=True)
class Decision:
    """What is decided on a day about all that is held.

    ``until`` is the first day on which no clock asks for anything any more; None where none does, or that cannot be said. Legal holds
    stand until they are released, whatever it says. ``by_key``: erased by destroying the person's key.
    """

    on: date
    outcome: Outcome
    going: tuple[Holding, ...]
    kept: tuple[Holding, ...]
    until: date | None
    reasons: tuple[Reason, ...]
    holds: tuple[int, ...]
    by_key: bool

    @property
    def rows_going(self) -> int:
        return sum(one.rows for one in self.going)

    @property
    def left(self) -> tuple[Holding, ...]:
        """What is due, and is not deleted."""
        return tuple(one for one in self.kept if one.verdict.fate.goes)

    def document(self) -> dict[str, Any]:
        """The decision as JSON has it: counts, days and laws, nobody's data."""
        return {
            "on": self.on.isoformat(),
            "outcome": self.outcome.value,
            "until": _day(self.until),
            "by_key": self.by_key,
            "holds": list(self.holds),
            "reasons": [{"law": one.law, "article": one.article, "rows": one.rows, "until": _day(one.until)} for one in self.reasons],
            "goes": [_of(one) for one in self.going],
            "kept": [_of(one) for one in self.kept],
        }

    def lines(self) -> list[str]:
        """The decision for people."""
        kept = sum(one.rows for one in self.kept)
        said = {
            Outcome.ERASE: f"Erase: no clock asks for any of {rows_said(self.rows_going)}, and no hold stands.",
            Outcome.PART: f"Part: of {rows_said(self.rows_going + kept)}, {self.rows_going:,} go, {kept:,} stay, restricted.",
            Outcome.RESTRICT: f"Restrict: {rows_said(kept)} stay, and their use is restricted ({DUTY_TO_KEEP}, {RESTRICTION}).",
        }
        lines = [f"On {self.on}. {said[self.outcome]}"]
        lines += [f"Kept {_until(one.until)}: {rows_said(one.rows)} by {one.article} ({one.law})." for one in self.reasons]
        if self.holds:
            lines.append(f"Legal holds stand: {', '.join(map(str, self.holds))}. What they are on stays until they are released.")
        return [*lines, *(f"Of {table}, {rows_said(rows)} due that stay: {why}." for (table, why), rows in _stay(self.left).items())]


def decide(held: Sequence[Holding], on: date, *, has_key: bool) -> Decision:
    """Decide about all that is held on a person; ValueError if that is nothing.

    ``has_key``: the person has a key, and destroying it erases everything at once, wherever it lies; it is done when everything is due.
    """
    if not held:
        raise ValueError("nothing is held: there is nothing to decide")
    by_key = has_key and all(one.verdict.fate.goes for one in held)
    going = tuple(one for one in held if one.verdict.fate.goes and (by_key or not one.stays))
    kept = tuple(one for one in held if one not in going)
    clocks = [one for one in kept if one.verdict.fate is Fate.KEPT]
    clocks = [one for one in clocks if not one.follows] or clocks  # what follows a payment has no clock of its own
    days = [one.verdict.until for one in clocks]
    outcome = Outcome.PART if going and kept else Outcome.RESTRICT if kept else Outcome.ERASE
    holds = tuple(sorted({number for one in kept for number in one.verdict.holds}))
    return Decision(on, outcome, going, kept, _latest(days), _reasons(clocks), holds, by_key)


def _latest(days: Sequence[date | None]) -> date | None:
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _reasons(clocks: Iterable[Holding]) -> tuple[Reason, ...]:
    """The rules that ask for something, each with the last of its days."""
    of_rule: dict[tuple[str, str], list[Holding]] = {}
    for one in clocks:
        of_rule.setdefault((one.verdict.rule.law, one.verdict.rule.article), []).append(one)
    return tuple(
        Reason(law, article, sum(one.rows for one in mine), _latest([one.verdict.until for one in mine]))
        for (law, article), mine in sorted(of_rule.items())
    )


def letter(decision: Decision, backup_days: int | None = None) -> list[str]:
    """The facts of the letter to the person: nobody else's data, and nothing of whether anybody was suspected.

    ``backup_days``: how long a backup is kept; None leaves out by when what was erased is gone from backups.
    """
    told = [one for one in (*decision.going, *decision.kept) if one.table not in OFFICERS]
    facts = [f"Your request was decided on {decision.on}. This is what was held on you:"]
    facts += [f"{table}: {_span(mine)}." for table, mine in sorted(_by_table(told).items())]
    others = sum(one.rows for one in told if one.side is Side.OTHER and not one.follows)
    if others:
        facts.append(f"In {rows_said(others)} you are the other side of somebody else's payment: they are kept as that account's.")
    facts += _decided(decision)
    if decision.outcome is not Outcome.RESTRICT and backup_days is not None:
        facts.append(f"Backups have what was erased until {decision.on + timedelta(days=backup_days)} at the latest; nobody uses them.")
    return [*facts, COMPLAINT]


def _decided(decision: Decision) -> list[str]:
    if decision.outcome is Outcome.ERASE:
        return ["All of it was erased: no law demands any more that it is kept (UK GDPR Article 17(1))."]
    facts = []
    if decision.outcome is Outcome.PART:
        facts.append("What no law demands any more was erased; the rest is kept.")
    else:
        facts.append("Nothing was erased yet.")
    facts += [
        f"The law demands that it is kept {_until(one.until)}: {one.law}, {one.article} ({DUTY_TO_KEEP})." for one in decision.reasons
    ]
    if decision.holds:
        # Not what the hold is for: an inquiry may be one that the person must not know of.
        facts.append(f"Some of it is kept for a legal duty or for legal claims, without a day that is known ({LEGAL_CLAIMS}).")
    if decision.left:
        facts.append("Some of it lies beside records that must be kept, and goes with the last of them.")
    facts.append(f"Until then its use is restricted to keeping it, and to what a law demands ({RESTRICTION}).")
    return (
        facts
        if decision.until is None
        else [*facts, f"Ask again from {decision.until} on, if the sweep of retention has not deleted it by then."]
    )


def rows_said(rows: int) -> str:
    """So many rows, in words."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _by_table(held: Iterable[Holding]) -> dict[str, list[Holding]]:
    found: dict[str, list[Holding]] = {}
    for one in held:
        found.setdefault(one.table, []).append(one)
    return found


def _span(held: Sequence[Holding]) -> str:
    rows, firsts = sum(one.rows for one in held), [one.first for one in held if one.first is not None]
    lasts = [one.last for one in held if one.last is not None]
    return rows_said(rows) + (f" from {min(firsts)} to {max(lasts)}" if firsts and lasts else "")


def _stay(held: Iterable[Holding]) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for one in held:
        found[one.table, one.stays] = found.get((one.table, one.stays), 0) + one.rows
    return found


def _of(one: Holding) -> dict[str, Any]:
    verdict = one.verdict
    return {
        "table": one.table,
        "side": one.side.value,
        "rows": one.rows,
        "first": _day(one.first),
        "last": _day(one.last),
        "fate": verdict.fate.value,
        "until": _day(verdict.until),
        "holds": list(verdict.holds),
        "follows": one.follows,
        "stays": one.stays,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _until(day: date | None) -> str:
    return "until a day that is not known yet" if day is None else f"until {day}"
