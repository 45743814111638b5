"""What the service says of records: the batch's functions over a few rows. Knows no HTTP, no Ray, no clock."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Protocol

import numpy as np
import orjson
import pyarrow as pa

from app import fingerprints
from app.columns import Mask
from app.contracts.reasons import REASONS
from app.detection import book, pack
from app.detection.alert import Alert
from app.detection.sight import Sights
from app.features import feature_set, timeline
from app.features.histories import CONFLICT, SAME, Arrivals, Taken, Words
from app.features.outcomes import Labels
from app.features.payments import Int64s
from app.features.timeline import HORIZON_US
from app.reference.modulus import WeightTable
from app.validation import modulus
from app.validation.transaction import Validated, validate
from models.champions import Champions
from models.verdicts import Detectors, Known, Reason, Verdicts, band_names
from serve.sides import hidden, is_hidden, shown
from serve.store import Answers, Store

MOST_ANSWERS: Final = 200_000
"""So many answers are kept for those who ask again; an older one is made anew, from the same histories."""

_BY_CODE: Final = {reason.code: reason for reason in REASONS}
_CONFLICT: Final = "transaction_id_conflict"
_NO_ID: Final = "transaction_id_format"
"""A text that can be no id may be anything, a name too."""
_SCORED: Final = b'"decision":"scored"'
_DEGRADED: Final = "the histories that replicas share are away: payments that others took since are not looked at"
Answer = dict[str, Any]


@dataclass(frozen=True)
class InUse:
    """The models that answer now."""

    champions: Champions
    detectors: Detectors


@dataclass(frozen=True)
class Told:
    """What is said of n payments, each by the models that answer it."""

    models: list[Champions]
    score: list[float]
    suspicion: list[float | None]
    band: list[str]
    reasons: list[tuple[Reason, ...]]


def told(models: Champions, verdicts: Verdicts) -> Told:
    """What these models say."""
    count = len(verdicts.score)
    suspicion = [None] * count if verdicts.suspicion is None else verdicts.suspicion.tolist()
    return Told([models] * count, verdicts.score.tolist(), suspicion, band_names(verdicts.band), list(verdicts.reasons))


class Trial(Protocol):
    """A challenger on a share of the payments (``serve.rollout``)."""

    def tell(self, in_use: InUse, transaction_ids: list[str], known: Known) -> Told:
        """What is answered about payments, by the champions or the challenger."""


@dataclass(frozen=True)
class Decided:
    """An answer, as JSON; ``recorded`` if the journal is to have it, since it is not known to have it.

    ``answer`` is None if it was given before.
    """

    transaction_id: str | None
    json: bytes
    answer: Answer | None
    recorded: bool
    kept: bytes | None = None
    """What the journal has of it, where that must name nobody."""


def _decided(answer: Answer, *, recorded: bool) -> Decided:
    return Decided(answer["transaction_id"], orjson.dumps(answer), answer, recorded)


class Engine:
    """Validates, looks back, scores. One thread at a time."""

    def __init__(
        self, histories: Store, answers: Answers, key: bytes, weights: WeightTable | None, begins_us: int | None, thresholds_on: date
    ) -> None:
        self.histories = histories
        self.in_use: InUse | None = None
        self.trial: Trial | None = None
        self.weights = weights
        self.thresholds_on = thresholds_on
        self._key = key
        self._begins_us = begins_us
        """When what is known begins, if the lake has payments before."""
        self._answers = answers
        self._given: OrderedDict[str, bytes] = OrderedDict()
        self.names_nobody = False
        """Whether the journal's answers must not: of a sealed lake."""
        self.earlier: Mapping[str, int] = {}
        """When accounts that may have been dormant since last paid or were paid before what is known begins (µs since 1970)."""
        self.sides_asked = self.sides_known = 0
        """How many parties of payments were looked up, and how many of them had a payment in the horizon."""

    def validate(self, records: pa.Table) -> list[Answer]:
        """What is wrong with each record (``landing.SCHEMA``), as the batch would say; nothing is put down."""
        validated = validate(records, weights=self.weights)
        reasons = _Reasons(validated)
        return [
            {
                "transaction_id": name,
                "valid": not validated.rejected[row],
                "reasons": reasons.of(row),
                "account_check": _check(validated.account_checks[row]),
                "counterparty_check": _check(validated.counterparty_checks[row]),
            }
            for row, name in enumerate(records["transaction_id"].to_pylist())
        ]

    def score(self, records: pa.Table, put_down: Callable[[Int64s], None]) -> list[Decided]:
        """Score each record, one after the other, and take it into the histories; one that is not valid is refused with its reasons.

        Before anything is taken in, ``put_down`` is given the rows that have to be in the journal: all but those that are known.
        """
        if self.in_use is None:
            raise RuntimeError("no model is in use")
        validated = validate(records, weights=self.weights)
        reasons = _Reasons(validated)
        accepted = np.flatnonzero(~validated.rejected)
        if len(accepted) == records.num_rows:
            typed = validated.typed
            prints = fingerprints.of_columns(validated.canonical, validated.booked_at, validated.amount_minor, self._key)
        else:
            typed = validated.typed.take(pa.array(accepted))
            prints = fingerprints.fingerprints(typed, self._key)
        arrivals = Arrivals(typed, prints.id_high, prints.id_low, prints.content)
        recorded = np.ones(records.num_rows, dtype=np.bool_)
        recorded[accepted] = self._unknown(arrivals)
        put_down(np.flatnonzero(recorded))
        taken = self.histories.take(arrivals)
        decided: list[Decided | None] = [None] * records.num_rows
        for row in np.flatnonzero(validated.rejected).tolist():
            decided[row] = self._refusal(records["transaction_id"][row].as_py(), reasons.of(row))
        scored = self._score(reasons, accepted, typed, taken, recorded[accepted].tolist())
        for row, answer in zip(accepted.tolist(), scored, strict=True):
            decided[row] = answer
        return [one for one in decided if one is not None]

    def _refusal(self, name: str | None, reasons: list[Answer]) -> Decided:
        answer = _refused(name, reasons)
        if not self.names_nobody or all(reason["code"] != _NO_ID for reason in reasons):
            return _decided(answer, recorded=True)
        return Decided(None, orjson.dumps(answer), answer, recorded=True, kept=orjson.dumps(answer | {"transaction_id": None}))

    def load(self, records: pa.Table) -> int:
        """Take in records that were answered before; gives how many of them the histories did not have."""
        validated = validate(records, weights=self.weights)
        typed = validated.typed.filter(pa.array(~validated.rejected))
        prints = fingerprints.fingerprints(typed, self._key)
        return self.histories.load(Arrivals(typed.combine_chunks(), prints.id_high, prints.id_low, prints.content))

    def remember(self, transaction_id: str, answer: bytes) -> None:
        """Keep an answer for those who ask again."""
        self._given[transaction_id] = answer
        if len(self._given) > MOST_ANSWERS:
            self._given.popitem(last=False)

    def recall(self, answers: Sequence[Answer]) -> None:
        """Keep scored answers as the journal has them, the oldest first. One that names nobody gets its names from its payment, if that is
        known still; else it is not kept: who asks again brings a payment that is new to the service.
        """
        nameless = [answer for answer in answers if is_hidden(answer)]
        words = fingerprints.wide(pa.array([answer["transaction_id"] for answer in nameless], pa.string()), self._key)
        sides = dict(zip((answer["transaction_id"] for answer in nameless), self.histories.names(*words), strict=True))
        for answer in answers:
            name = answer["transaction_id"]
            if name not in sides:
                self.remember(name, orjson.dumps(answer))
            elif (names := sides[name]) is not None:
                self.remember(name, shown(answer, *names))

    def catch_up(self) -> None:
        """Tell and hear what other replicas do; answers before their payments: who knows a payment then knows what was said of it."""
        self._answers.settle({})
        self.histories.catch_up()

    def judge(self, id_high: Words, id_low: Words, labels: Labels) -> None:
        """Note what analysts have decided: all of it."""
        self.histories.judge(id_high, id_low, labels)

    def begin_later(self, begins_us: int, earlier: Mapping[str, int]) -> None:
        """What was booked before has been let go; ``earlier`` has the accounts that may have been dormant since."""
        self._begins_us = begins_us if self._begins_us is None else max(self._begins_us, begins_us)
        self.earlier = earlier

    def _unknown(self, arrivals: Arrivals) -> Mask:
        """Which payments are neither known nor twice among these."""
        unknown: Mask = self.histories.status(arrivals) != SAME
        if len(unknown) > 1:
            each = np.stack([arrivals.id_high, arrivals.id_low, arrivals.content], axis=1)
            first = np.zeros(len(unknown), dtype=np.bool_)
            first[np.unique(each, axis=0, return_index=True)[1]] = True
            unknown &= first
        return unknown

    def _score(self, reasons: "_Reasons", accepted: Int64s, typed: pa.Table, taken: Taken, recorded: list[bool]) -> list[Decided]:
        ids, status = typed["transaction_id"].to_pylist(), taken.status.tolist()
        given = {name: answer for name, one in zip(ids, status, strict=True) if one == SAME and (answer := self._given.get(name))}
        wanted = np.array([place for place, name in enumerate(ids) if status[place] != CONFLICT and name not in given], np.int64)
        answers = {one["transaction_id"]: one for one in reversed(self._answered(reasons, accepted, typed, taken, wanted))}
        mine = {name: orjson.dumps(answer) for name, answer in answers.items()}
        standing = self._answers.settle(mine)
        for name, answer in standing.items():
            self.remember(name, answer)
        decided = []
        for place, name in enumerate(ids):
            if status[place] == CONFLICT:
                decided.append(_decided(_refused(name, [_reason(_CONFLICT)]), recorded=recorded[place]))
            elif name in given:
                decided.append(Decided(name, given[name], None, recorded=recorded[place]))
            else:
                again = standing[name] is not mine[name]
                # Though the payment may be known: the replica that took it may have died before it put down what it had said.
                decided.append(Decided(name, standing[name], None if again else answers[name], recorded=True))
                given[name] = standing[name]  # whoever has it twice in one request gets the same answer twice
        return self._for_journal(decided, typed) if self.names_nobody else decided

    def _for_journal(self, decided: list[Decided], typed: pa.Table) -> list[Decided]:
        """The same with what the journal may have."""
        sides = zip(typed["payer"].to_pylist(), typed["payee"].to_pylist(), strict=True)
        return [
            replace(one, kept=hidden(one.json, *names)) if one.recorded and _SCORED in one.json else one
            for one, names in zip(decided, sides, strict=True)
        ]

    def _answered(self, reasons: "_Reasons", accepted: Int64s, typed: pa.Table, taken: Taken, wanted: Int64s) -> list[Answer]:
        if self.in_use is None or not len(wanted):
            return []
        rows = typed.take(pa.array(wanted)) if len(wanted) < typed.num_rows else typed
        self._count(taken.facts[wanted])
        booked_at, facts, judged = taken.booked_at[wanted], taken.facts[wanted], taken.judged[wanted]
        known = Known(booked_at, np.abs(rows["amount_minor"].to_numpy()), rows["currency"].to_pylist(), facts, judged)
        if self.trial is None:
            said = told(self.in_use.champions, self.in_use.detectors.verdicts(known))
        else:
            said = self.trial.tell(self.in_use, rows["transaction_id"].to_pylist(), known)
        return self._documents(reasons, accepted[wanted].tolist(), rows, taken.row[wanted], known, said)

    def _count(self, facts: Int64s) -> None:
        self.sides_asked += 2 * len(facts)
        self.sides_known += int(np.count_nonzero(facts[:, [timeline.PAYER_AGE, timeline.PAYEE_AGE]] != timeline.NEVER))

    def _documents(
        self, reasons: "_Reasons", places: list[int], rows: pa.Table, histories: Int64s, known: Known, said: Told
    ) -> list[Answer]:
        complete = [self._begins_us is None or at - HORIZON_US >= self._begins_us for at in known.booked_at.tolist()]
        scenarios = self._scenarios(histories, known, rows)
        degraded = {"degraded": _DEGRADED} if self.histories.degraded else {}
        documents = []
        for at, name in enumerate(rows["transaction_id"].to_pylist()):
            documents.append(
                {
                    "transaction_id": name,
                    "decision": "scored",
                    "score": said.score[at],
                    "suspicion": said.suspicion[at],
                    "band": said.band[at],
                    "reasons": [{"code": reason.code, "sentence": reason.sentence} for reason in said.reasons[at]],
                    "scenarios": scenarios[at],
                    "warnings": reasons.of(places[at]),
                    "history_complete": complete[at],
                    "model_id": said.models[at].forest,
                    "ranker_id": said.models[at].ranker,
                    "features_version": feature_set.VERSION,
                }
                | degraded
            )
        return documents

    def _scenarios(self, histories: Int64s, known: Known, rows: pa.Table) -> list[list[Answer]]:
        """The scenarios that each payment completes; those that follow money through other accounts are the batch's alone."""
        of_itself, payer_is_own, payee_is_own = self.histories.sides(histories)
        sterling = np.array([currency == "GBP" for currency in known.currency], dtype=np.bool_)
        countries = rows["country"].to_pylist()
        # A second leg completes nothing.
        own = (payer_is_own & of_itself, payee_is_own & of_itself)
        sights = Sights(known.booked_at, known.amount, sterling & of_itself, countries, *own, known.facts)
        ids = rows["transaction_id"].to_pylist()
        found: dict[str, list[Answer]] = {}
        for one in pack.possible(sights, self.thresholds_on):
            around = self.histories.around(histories[one.places], one.scenario.reach_us(one.thresholds))
            for alert in one.scenario.find(book.opened(around, self.earlier), one.thresholds):
                found.setdefault(alert.fired_by, []).append(_completed(one.scenario.name, alert))
        return [found.get(name, []) for name in ids]


def _completed(scenario: str, alert: Alert) -> Answer:
    return {
        "scenario": scenario,
        "reason": alert.reason,
        "account": alert.account,
        "sentence": alert.sentence,
        "evidence": list(alert.evidence),
    }


def _refused(transaction_id: str | None, reasons: list[Answer]) -> Answer:
    return {"transaction_id": transaction_id, "decision": "refused", "reasons": reasons}


def _reason(code: str) -> Answer:
    reason = _BY_CODE[code]
    return {"code": code, "severity": reason.severity.value, "sentence": reason.sentence}


class _Reasons:
    """Why records are refused, or what is odd about them."""

    def __init__(self, validated: Validated) -> None:
        self._codes = [codes.tolist() for codes in validated.codes]

    def of(self, row: int) -> list[Answer]:
        """Of one of them."""
        return [_reason(REASONS[codes[row] - 1].code) for codes in self._codes if codes[row]]


def _check(result: int) -> str:
    return {modulus.VALID: "valid", modulus.INVALID: "invalid"}.get(int(result), "not_checked")
