"""What the service says of records: the batch's functions over a few rows. Knows no HTTP, no Ray, no clock."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

import numpy as np
import orjson
import pyarrow as pa

from app import fingerprints
from app.contracts.reasons import REASONS
from app.detection import book, pack
from app.detection.pack import Scenario
from app.detection.sight import Sight
from app.features import feature_set
from app.features.histories import CONFLICT, NEW, SAME, Arrivals, Histories, Taken
from app.features.payments import Int64s
from app.features.timeline import HORIZON_US
from app.reference.modulus import WeightTable
from app.validation import modulus
from app.validation.transaction import Validated, validate
from models.champions import Champions
from models.verdicts import Detectors, Known, Reason, Verdicts, band_names

MOST_ANSWERS: Final = 200_000
"""So many answers are kept for those who ask again; an older one is made anew, from the same histories."""

_BY_CODE: Final = {reason.code: reason for reason in REASONS}
_CONFLICT: Final = "transaction_id_conflict"
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
    """An answer, as JSON; ``recorded`` if it is of a record that has to be put down in the journal.

    ``answer`` is None if it was given before.
    """

    transaction_id: str | None
    json: bytes
    answer: Answer | None
    recorded: bool


def _decided(answer: Answer, *, recorded: bool) -> Decided:
    return Decided(answer["transaction_id"], orjson.dumps(answer), answer, recorded)


class Engine:
    """Validates, looks back, scores. One thread at a time."""

    def __init__(self, histories: Histories, key: bytes, weights: WeightTable | None, begins_us: int | None, thresholds_on: date) -> None:
        self.histories = histories
        self.in_use: InUse | None = None
        self.trial: Trial | None = None
        self.weights = weights
        self.thresholds_on = thresholds_on
        self._key = key
        self._begins_us = begins_us
        """When what is known begins, if the lake has payments before."""
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self.late = 0

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

    def score(self, records: pa.Table) -> list[Decided]:
        """Score each record, one after the other, and take it into the histories; one that is not valid is refused with its reasons."""
        if self.in_use is None:
            raise RuntimeError("no model is in use")
        validated = validate(records, weights=self.weights)
        reasons = _Reasons(validated)
        accepted = np.flatnonzero(~validated.rejected)
        typed = validated.typed if len(accepted) == records.num_rows else validated.typed.take(pa.array(accepted))
        prints = fingerprints.fingerprints(typed, self._key)
        taken = self.histories.take(Arrivals(typed, prints.id_high, prints.id_low, prints.content))
        decided: list[Decided | None] = [None] * records.num_rows
        for row in np.flatnonzero(validated.rejected).tolist():
            decided[row] = _decided(_refused(records["transaction_id"][row].as_py(), reasons.of(row)), recorded=True)
        scored = self._score(reasons, accepted, typed, taken)
        for row, answer in zip(accepted.tolist(), scored, strict=True):
            decided[row] = answer
        return [one for one in decided if one is not None]

    def load(self, records: pa.Table) -> int:
        """Take in records that were answered before; gives how many of them the histories did not have."""
        validated = validate(records, weights=self.weights)
        typed = validated.typed.filter(pa.array(~validated.rejected))
        prints = fingerprints.fingerprints(typed, self._key)
        return self.histories.load(Arrivals(typed.combine_chunks(), prints.id_high, prints.id_low, prints.content))

    def remember(self, transaction_id: str, answer: bytes) -> None:
        """Keep an answer for those who ask again."""
        self._answers[transaction_id] = answer
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)

    def _score(self, reasons: "_Reasons", accepted: Int64s, typed: pa.Table, taken: Taken) -> list[Decided]:
        ids, status = typed["transaction_id"].to_pylist(), taken.status.tolist()
        given = {name: answer for name, one in zip(ids, status, strict=True) if one == SAME and (answer := self._answers.get(name))}
        wanted = np.array([place for place, name in enumerate(ids) if status[place] != CONFLICT and name not in given], np.int64)
        answers = dict(zip(wanted.tolist(), self._answered(reasons, accepted, typed, taken, wanted), strict=True))
        decided = []
        for place, name in enumerate(ids):
            if status[place] == CONFLICT:
                decided.append(_decided(_refused(name, [_reason(_CONFLICT)]), recorded=True))
            elif name in given:
                decided.append(Decided(name, given[name], None, recorded=False))
            else:
                decided.append(_decided(answers[place], recorded=status[place] == NEW))
                given[name] = decided[-1].json  # whoever has it twice in one request gets the same answer twice
                self.remember(name, decided[-1].json)
        return decided

    def _answered(self, reasons: "_Reasons", accepted: Int64s, typed: pa.Table, taken: Taken, wanted: Int64s) -> list[Answer]:
        if self.in_use is None or not len(wanted):
            return []
        rows = typed.take(pa.array(wanted)) if len(wanted) < typed.num_rows else typed
        booked_at, facts, judged = taken.booked_at[wanted], taken.facts[wanted], taken.judged[wanted]
        known = Known(booked_at, np.abs(rows["amount_minor"].to_numpy()), rows["currency"].to_pylist(), facts, judged)
        if self.trial is None:
            said = told(self.in_use.champions, self.in_use.detectors.verdicts(known))
        else:
            said = self.trial.tell(self.in_use, rows["transaction_id"].to_pylist(), known)
        return self._documents(reasons, accepted[wanted].tolist(), rows, taken.row[wanted], known, said)

    def _documents(
        self, reasons: "_Reasons", places: list[int], rows: pa.Table, histories: Int64s, known: Known, said: Told
    ) -> list[Answer]:
        complete = [self._begins_us is None or at - HORIZON_US >= self._begins_us for at in known.booked_at.tolist()]
        scenarios = self._scenarios(histories, known, rows)
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
            )
        return documents

    def _scenarios(self, histories: Int64s, known: Known, rows: pa.Table) -> list[list[Answer]]:
        """The scenarios that each payment completes; those that follow money through other accounts are the batch's alone."""
        of_itself, payer_is_own, payee_is_own = self.histories.sides(histories)
        ids, countries, found = rows["transaction_id"].to_pylist(), rows["country"].to_pylist(), []
        for at, payment in enumerate(known.rows()):
            sight = Sight(
                payment.booked_at,
                payment.amount,
                payment.currency == "GBP",
                countries[at],
                payer_is_own[at],
                payee_is_own[at],
                payment.facts,
            )
            scenarios = pack.possible(sight, self.thresholds_on) if of_itself[at] else []
            found.append(self._completed(int(histories[at]), ids[at], scenarios) if scenarios else [])
        return found

    def _completed(self, row: int, transaction_id: str, scenarios: Sequence[Scenario]) -> list[Answer]:
        found = pack.find_all(book.book(self.histories.around(row)), self.thresholds_on, scenarios)
        return [
            {
                "scenario": scenario,
                "reason": alert.reason,
                "account": alert.account,
                "sentence": alert.sentence,
                "evidence": list(alert.evidence),
            }
            for scenario, alerts in found.items()
            for alert in alerts
            if alert.fired_by == transaction_id
        ]


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
