"""What the models in use say of payments: score, band and reasons. A batch and a request call the same function."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.contracts.lake import BANDS
from app.detection import unusual
from app.detection.unusual import Scored
from app.features import outcomes, vector
from app.features.payments import Int64s
from app.features.vector import Vectors
from models.isolation_forest import IsolationForest
from models.profile import Profile, Spread
from models.supervised import Ranker
from models.trees import Scores

MOST_REASONS: Final = 3


@dataclass(frozen=True)
class Known:
    """n payments and what is known of each."""

    booked_at: Int64s  # of the payments that they stand for
    amount: Int64s  # minor units, not negative
    currency: list[str]
    facts: Int64s  # as ``timeline.look_back`` gives them: [n, 25]
    judged: Int64s  # as ``outcomes.judged_before`` gives them: [n, 8]

    def rows(self, which: Int64s) -> list[Scored]:
        """Some of them, as their reasons are told from."""
        facts, judged = map(tuple, self.facts[which].tolist()), map(tuple, self.judged[which].tolist())
        currency = [self.currency[at] for at in which.tolist()]
        numbers = (self.booked_at[which].tolist(), self.amount[which].tolist(), currency)
        return [Scored(*of) for of in zip(*numbers, facts, judged, strict=True)]


@dataclass(frozen=True)
class Reason:
    """One of the things that made a payment unusual."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Verdicts:
    """What is said of n payments."""

    vectors: Vectors
    score: Scores
    suspicion: Scores | None  # None without a ranker
    band: Int64s  # places in BANDS
    reasons: list[tuple[Reason, ...]]  # the strongest first; none in the lowest band


@dataclass(frozen=True)
class Detectors:
    """The models in use, each with its profile."""

    forest: IsolationForest
    forest_profile: Profile
    ranker: Ranker | None = None
    ranker_profile: Profile | None = None

    def verdicts(self, known: Known) -> Verdicts:
        """Score payments; those above the lowest band get reasons, from the detector that put them there."""
        vectors = vector.of_facts(known.booked_at, known.amount, known.facts)
        score = self.forest.scores(vectors)
        band = by_forest = self.forest_profile.bands(score)
        reasons: list[tuple[Reason, ...]] = [()] * len(score)
        suspicion = None
        if self.ranker is not None and self.ranker_profile is not None:
            both = np.hstack([vectors, outcomes.of_counts(known.judged)])
            suspicion = self.ranker.scores(both)
            band = np.maximum(by_forest, self.ranker_profile.bands(suspicion))
            rows = np.flatnonzero(band > by_forest)
            _explain(known, rows, self.ranker.contributions(both[rows]), self.ranker_profile, reasons)
        rows = np.flatnonzero((band == by_forest) & (band > 0))
        _explain(known, rows, self.forest.contributions(vectors[rows]), self.forest_profile, reasons)
        return Verdicts(vectors, score, suspicion, band, reasons)


def band_names(band: Int64s) -> list[str]:
    """Bands by name."""
    return [BANDS[number] for number in band.tolist()]


def _explain(known: Known, rows: Int64s, contributions: Scores, profile: Profile, reasons: list[tuple[Reason, ...]]) -> None:
    features = list(profile.features.items())
    orders = np.argsort(-contributions, axis=1, kind="stable").tolist()
    for row, payment, strongest, given in zip(rows.tolist(), known.rows(rows), orders, contributions.tolist(), strict=True):
        reasons[row] = _reasons(payment, [features[feature] for feature in strongest if given[feature] > 0])


def _reasons(payment: Scored, features: list[tuple[str, Spread]]) -> tuple[Reason, ...]:
    """The first reasons that are told in different words: two features of one thing, such as the hour's sine and cosine, are one reason."""
    found: dict[str, Reason] = {}
    for name, spread in features:
        sentence = unusual.sentence(name, payment, spread.typical)
        found.setdefault(sentence, Reason(unusual.code(name), sentence))
        if len(found) == MOST_REASONS:
            break
    return tuple(found.values())
