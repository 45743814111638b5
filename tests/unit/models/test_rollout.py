from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lake.rollouts import CANARY, Rollout
from models.profile import spread
from models.rollout import Monitor, in_share

MANY = [f"T{number:06d}" for number in range(20_000)]
TRAINED = spread(np.arange(1_000.0))
ROLLOUT = Rollout(3, "isolation_forest", "new", CANARY, 0.1, 0.01, 0.25, 100, "to try", "2026-03-04T09:00:00+00:00", "me")


@given(number=st.integers(1, 10**6), share=st.floats(0.001, 1))
def test_a_share_is_about_as_large_as_was_asked_for(number: int, share: float) -> None:
    found = in_share(MANY, number, share)
    assert abs(found.mean() - share) < 6 * np.sqrt(share * (1 - share) / len(MANY)) + 1e-9


@given(number=st.integers(1, 10**6), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_share_of_a_rollout_has_all_of_a_smaller_one(number: int, shares: tuple[float, float]) -> None:
    small, large = (in_share(MANY[:2_000], number, share) for share in sorted(shares))
    assert not (small & ~large).any()


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=35), max_size=30), st.integers(1, 10**6))
def test_a_payment_is_in_the_share_whoever_it_is_asked_with(names: list[str], number: int) -> None:
    found = in_share(names, number, 0.5).tolist()
    assert found == [in_share([name], number, 0.5).item() for name in names]
    assert in_share(names, number, 1.0).all()


def test_another_rollout_has_other_payments() -> None:
    one, other = (in_share(MANY, number, 0.5) for number in (1, 2))
    assert 0.2 < (one & other).mean() < 0.3


def test_a_challenger_like_its_training_window_goes_on() -> None:
    monitor = Monitor(ROLLOUT, TRAINED)
    assert monitor.drift is None
    monitor.scored(np.random.default_rng(1).uniform(0, 1_000, 2_000))
    monitor.failed(20)
    assert (monitor.payments, monitor.errors, monitor.over()) == (2_020, 20, None)


def test_errors_are_judged_once_the_payments_to_come_could_not_make_up_for_them() -> None:
    monitor = Monitor(ROLLOUT, TRAINED)
    monitor.failed(1)
    assert monitor.over() is None  # one of a hundred may fail
    monitor.failed(1)
    assert monitor.over() == "it failed on 2 of 2 payments; at most 1.00% may fail"
    assert Monitor(replace(ROLLOUT, most_errors=0.0), TRAINED).over() is None


def test_drift_is_judged_when_there_are_payments_enough() -> None:
    monitor = Monitor(ROLLOUT, TRAINED)
    monitor.scored(np.full(99, 950.0))
    assert monitor.drift == pytest.approx(0.9 * np.log(10) + 9 * (0.0001 - 0.1) * np.log(0.001), rel=1e-3)
    assert monitor.over() is None
    monitor.scored(np.full(1, 950.0))
    assert "its scores of 100 payments are at a PSI of 8.2" in (monitor.over() or "")


def test_the_least_number_of_payments_is_enough_for_the_limit_that_is_set_unless_told_otherwise() -> None:
    rng, over = np.random.default_rng(5), 0
    for _ in range(300):
        monitor = Monitor(replace(ROLLOUT, least=500), TRAINED)
        monitor.scored(rng.uniform(0, 1_000, 500))
        over += monitor.over() is not None
    assert over == 0
