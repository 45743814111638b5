"""How numbers were spread over the payments that a model was trained on: what later ones are held against."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from app.features.payments import Int64s
from app.features.vector import Vectors
from models.trees import Scores

_TENTHS: Final = np.arange(1, 10) / 10
_LEAST_SHARE: Final = 1e-4
"""An empty tenth counts as this share: the logarithm of nothing is infinite."""


@dataclass(frozen=True)
class Spread:
    """Of one number: the edges between its tenths, each once, what share of the payments lies in each bin, and the median.

    A bin holds what is above the edge before it and at most the edge after it.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    typical: float

    def counts(self, values: Scores) -> Int64s:
        """How many of these values lie in each bin."""
        return np.bincount(np.searchsorted(self.edges, values), minlength=len(self.shares))


def spread(values: Scores) -> Spread:
    """The spread of these values, at least one."""
    edges = np.unique(np.quantile(values, _TENTHS))
    shares = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values)
    return Spread(tuple(edges.tolist()), tuple(shares.tolist()), float(np.median(values)))


def psi(trained: Spread, counts: Int64s) -> float:
    """The population stability index of later payments: the sum over bins of (share - trained share) · ln(share / trained share)."""
    then = np.maximum(trained.shares, _LEAST_SHARE)
    now = np.maximum(counts / counts.sum(), _LEAST_SHARE)
    return float(((now - then) * np.log(now / then)).sum())


@dataclass(frozen=True)
class Profile:
    """Of a model: its features in their order, its scores, and the least score of the bands medium and high."""

    features: Mapping[str, Spread]
    score: Spread
    medium: float
    high: float

    def bands(self, scores: Scores) -> Int64s:
        """For each score the number of its band: 0 low, 1 medium, 2 high."""
        return np.searchsorted([self.medium, self.high], scores, side="right")

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


MEDIUM_SHARE: Final = 0.05
HIGH_SHARE: Final = 0.005
"""What share of the payments that a model was measured on lies in the band, or above it."""


def profile(names: tuple[str, ...], trained: Vectors, trained_scores: Scores, measured_scores: Scores) -> Profile:
    """The profile of a model: spreads over the payments that it was trained on, bands by those that it was measured on."""
    spreads = {name: spread(trained[:, column]) for column, name in enumerate(names)}
    medium, high = np.quantile(measured_scores, [1 - MEDIUM_SHARE, 1 - HIGH_SHARE], method="higher").tolist()
    return Profile(spreads, spread(trained_scores), medium, high)


def from_document(document: Mapping[str, Any]) -> Profile:
    """The profile that gave this document."""

    def one(of: Mapping[str, Any]) -> Spread:
        return Spread(tuple(of["edges"]), tuple(of["shares"]), of["typical"])

    spreads = {name: one(of) for name, of in document["features"].items()}
    return Profile(spreads, one(document["score"]), document["medium"], document["high"])
