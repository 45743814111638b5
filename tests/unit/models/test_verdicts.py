import numpy as np
import pytest

from app.features import feature_set, outcomes, timeline
from models import isolation_forest, supervised
from models.isolation_forest import ForestSettings
from models.profile import profile
from models.supervised import RankerSettings
from models.verdicts import MOST_REASONS, Detectors, Known, band_names

RNG = np.random.default_rng(7)
COUNT = 400


@pytest.fixture(scope="module")
def known() -> Known:
    """Payments of which every tenth is large, at night, from an account that has just been paid as much."""
    facts = timeline.nothing(COUNT)
    facts[:, timeline.PAYER_OUTS] = RNG.integers(2, 50, COUNT)
    facts[:, timeline.PAYER_OUT_LOGS] = facts[:, timeline.PAYER_OUTS] * 8_000
    facts[:, timeline.PAYER_OUT_SQUARES] = facts[:, timeline.PAYER_OUTS] * 64_100_000
    facts[::10, timeline.PAYER_IN_SUM_24H] = 9_000_000
    amount = RNG.integers(2_000, 5_000, COUNT)
    amount[::10] = 8_900_000
    booked_at = RNG.integers(9 * 3600, 17 * 3600, COUNT) * 1_000_000
    booked_at[::10] = 3 * 3600 * 1_000_000
    return Known(booked_at, amount, ["GBP"] * COUNT, facts, np.zeros((COUNT, outcomes.COUNT), dtype=np.int64))


def detectors(known: Known, *, with_ranker: bool) -> Detectors:
    from app.features.vector import of_facts

    vectors = of_facts(known.booked_at, known.amount, known.facts)
    forest = isolation_forest.fit(vectors, 1, ForestSettings(trees=50, samples=64, rough_trees=10, rough_samples=32))
    scores = forest.scores(vectors)
    held = profile(feature_set.NAMES, vectors, scores, scores)
    if not with_ranker:
        return Detectors(forest, held)
    both = np.hstack([vectors, outcomes.of_counts(known.judged)])
    ranker = supervised.fit(both, (np.arange(COUNT) % 10 == 0).astype(np.int8), 1, RankerSettings(rounds=20, rows_in_leaf=5))
    ranked = ranker.scores(both)
    return Detectors(forest, held, ranker, profile((*feature_set.NAMES, *outcomes.NAMES), both, ranked, ranked))


@pytest.mark.parametrize("with_ranker", [False, True])
def test_what_is_above_the_lowest_band_has_reasons_in_different_words(known: Known, *, with_ranker: bool) -> None:
    found = detectors(known, with_ranker=with_ranker).verdicts(known)
    assert set(band_names(found.band)) <= {"low", "medium", "high"}
    assert (found.suspicion is not None) == with_ranker
    for band, reasons in zip(found.band.tolist(), found.reasons, strict=True):
        assert len(reasons) <= MOST_REASONS
        assert bool(reasons) == (band > 0)
        assert len({reason.sentence for reason in reasons}) == len(reasons)


def test_one_payment_alone_is_told_the_same_as_among_all(known: Known) -> None:
    all_detectors = detectors(known, with_ranker=True)
    found = all_detectors.verdicts(known)
    for row in (0, 3, 10, 399):
        cut = slice(row, row + 1)
        alone = all_detectors.verdicts(
            Known(known.booked_at[cut], known.amount[cut], known.currency[cut], known.facts[cut], known.judged[cut])
        )
        assert alone.suspicion is not None
        assert found.suspicion is not None
        assert (alone.score[0], alone.suspicion[0], alone.band[0], alone.reasons[0]) == (
            found.score[row], found.suspicion[row], found.band[row], found.reasons[row]
        )  # fmt: skip


def test_the_strange_ones_are_told_by_what_is_strange_about_them(known: Known) -> None:
    found = detectors(known, with_ranker=False).verdicts(known)
    strange = [reasons for reasons, row in zip(found.reasons, range(COUNT), strict=True) if row % 10 == 0 and reasons]
    assert strange
    said = {reason.sentence for reasons in strange for reason in reasons}
    expected = {"It was booked at 03:00 UTC.", "With it £89,000.00 left the payer in 24 hours; £90,000.00 had come to it."}
    assert said & expected
