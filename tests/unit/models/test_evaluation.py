import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.payments import DAY_US
from models.evaluation import by_typology, mean, metrics, split, stability, threshold


def test_the_split_is_by_time_and_leaves_out_the_beginning() -> None:
    booked_at = np.arange(0, 101) * DAY_US
    found = split(booked_at, 0.6)
    assert np.flatnonzero(found.train).tolist() == list(range(15, 60))
    assert np.flatnonzero(found.test).tolist() == list(range(60, 101))
    assert found.at(0.6) == 60 * DAY_US


def test_a_perfect_ranking_has_perfect_figures() -> None:
    suspicious = np.arange(1_000) >= 995
    found = metrics(np.arange(1_000) / 1_000, suspicious, 10.0)
    assert found is not None
    assert (found.auroc, found.average_precision, found.precision_at_half_percent, found.recall_at_1pct_fpr) == (1.0, 1.0, 1.0, 1.0)
    assert found.alerts_per_day == 0.5


def test_a_ranking_upside_down_finds_nothing() -> None:
    found = metrics(-np.arange(1_000) / 1_000, np.arange(1_000) >= 995, 10.0)
    assert found is not None
    assert (found.auroc, found.precision_at_half_percent, found.recall_at_1pct_fpr) == (0.0, 0.0, 0.0)
    assert found.average_precision < 0.01


def test_recall_counts_what_scores_above_all_but_one_in_a_hundred_of_the_others() -> None:
    scores = np.concatenate([np.arange(200), [196.5, 198.5]])
    suspicious = np.arange(202) >= 200
    assert threshold(scores, suspicious) == 198.0
    found = metrics(scores, suspicious, 1.0)
    assert found is not None
    assert found.recall_at_1pct_fpr == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_no_more_than_one_in_a_hundred_of_the_others_reaches_the_threshold(rows: list[tuple[float, bool]]) -> None:
    scores, suspicious = np.array([score for score, _ in rows]), np.array([bad for _, bad in rows])
    if suspicious.any() and not suspicious.all():
        assert (scores[~suspicious] >= threshold(scores, suspicious)).mean() <= 0.01


@pytest.mark.parametrize("suspicious", [np.zeros(5, np.bool_), np.ones(5, np.bool_), np.zeros(0, np.bool_)])
def test_payments_of_one_kind_have_no_figures(suspicious: np.ndarray) -> None:
    assert metrics(np.zeros(len(suspicious)), suspicious, 1.0) is None
    assert mean([None]) is None


def test_typologies_are_told_apart() -> None:
    scores = np.concatenate([np.linspace(0, 0.5, 200), [0.9, 0.1, 0.8]])
    suspicious = np.arange(203) >= 200
    typologies = np.array([""] * 200 + ["cycle", "cycle", ""], dtype=object)
    assert by_typology(scores, suspicious, typologies) == {
        "cycle": {"payments": 2, "recall_at_1pct_fpr": 0.5},
        "unnamed": {"payments": 1, "recall_at_1pct_fpr": 1.0},
    }


def test_seeds_that_rank_alike_are_stable() -> None:
    one = np.array([0.1, 0.2, 0.9])
    assert stability([one]) is None
    assert stability([one, one**2, one**3]) == pytest.approx(1.0)
    assert stability([one, -one]) == pytest.approx(-1.0)
