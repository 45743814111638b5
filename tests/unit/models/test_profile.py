import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.profile import HIGH_SHARE, MEDIUM_SHARE, from_document, profile, psi, spread


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_spread_has_every_value_in_one_bin_and_is_at_no_distance_from_itself(values: list[float]) -> None:
    found = spread(np.array(values))
    counts = found.counts(np.array(values))
    assert counts.sum() == len(values)
    assert sum(found.shares) == pytest.approx(1)
    assert psi(found, counts) == pytest.approx(0, abs=1e-9)
    assert list(found.edges) == sorted(set(found.edges))


def test_the_index_is_the_textbooks() -> None:
    trained = spread(np.arange(1000.0))
    moved = np.array([200, *([100] * 8), 0])
    # Two tenths of ten changed: (0.2 - 0.1) ln 2 and (0.0001 - 0.1) ln(0.001), since an empty tenth counts as one in ten thousand.
    assert psi(trained, moved) == pytest.approx(0.1 * np.log(2) - 0.0999 * np.log(0.001), rel=1e-2)


def test_a_number_that_has_two_values_lies_in_two_bins() -> None:
    found = spread(np.array([0.0] * 70 + [1.0] * 30))
    counts = found.counts(np.array([0.0, 1.0, 1.0]))
    assert counts[counts > 0].tolist() == [1, 2]
    assert psi(found, found.counts(np.array([0.0] * 10 + [1.0] * 90))) > 0.25


def test_bands_hold_the_shares_that_they_are_named_for() -> None:
    scores = np.random.default_rng(1).random(10_000)
    found = profile(("a",), scores[:, None], scores, scores)
    bands = np.bincount(found.bands(scores), minlength=3) / len(scores)
    assert bands[2] == pytest.approx(HIGH_SHARE, abs=2e-4)
    assert bands[1] + bands[2] == pytest.approx(MEDIUM_SHARE, abs=2e-4)
    assert found.bands(np.array([found.high, found.medium, np.nextafter(found.medium, 0)])).tolist() == [2, 1, 0]


def test_a_profile_comes_back_from_its_document_to_the_bit() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=(500, 2))
    found = profile(("a", "b"), values, values[:, 0], values[:, 1])
    assert from_document(json.loads(json.dumps(found.document()))) == found
