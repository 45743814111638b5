"""``make bench-models``: one row and a batch through the flat trees, against scikit-learn's own scoring of the same forest."""

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.ensemble import IsolationForest as Reference

from app.features.payments import payments
from app.features.vector import vectors
from models import isolation_forest
from models.isolation_forest import ForestSettings
from models.trees import Matrix, as_matrix
from tests.bench.features import stream
from tests.bench.main import say
from tests.bench.timing import warm_rounds_of
from tests.support.payments import silver


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of some rounds, after one that does not count."""
    return median(warm_rounds_of(work, rounds))


def main() -> None:
    """Both forests have the same number of trees, grown from samples of the same size."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    ordered, _ = payments(silver(stream(count, count // 40, 20)))
    features = vectors(ordered)
    settings = ForestSettings()
    begun = perf_counter()
    forest = isolation_forest.fit(features, 1)
    say(f"trained on {count:,} payments in {perf_counter() - begun:.1f} s: {len(forest.trees.nodes):,} nodes in {settings.trees} trees")
    reference = Reference(n_estimators=settings.trees, max_samples=settings.samples, random_state=1).fit(as_matrix(features))
    rows = as_matrix(features)
    one, ours = features[:1], seconds(lambda: forest.scores(features[:1]), 200)
    theirs = seconds(lambda: reference.score_samples(rows[:1]), 20)
    say(f"one row: {ours * 1e6:.0f} µs; scikit-learn {theirs * 1e3:.1f} ms: {theirs / ours:.0f} times")
    say(f"one row with its contributions: {seconds(lambda: forest.contributions(one), 200) * 1e6:.0f} µs")
    ours, theirs = seconds(lambda: forest.scores(features), 3), seconds(lambda: reference.score_samples(rows), 3)
    say(f"a batch: {count / ours:,.0f} rows a second; scikit-learn {count / theirs:,.0f}: {theirs / ours:.1f} times")
    say(f"  with contributions: {count / seconds(lambda: forest.contributions(features), 1):,.0f} rows a second")
    say(f"largest difference to scikit-learn on a forest of its own: {difference(rows):.1e}")


def difference(rows: Matrix) -> float:
    """How far our walk is from scikit-learn's on the same trees."""
    grown = isolation_forest._grow(rows, 50, 4_096, 3)
    reference = Reference(n_estimators=50, max_samples=4_096, random_state=3).fit(rows)
    return float(np.abs(grown.scores(rows.astype(np.float64)) + reference.score_samples(rows)).max())


if __name__ == "__main__":
    main()
