import hashlib
import sys
from pathlib import Path

import numpy as np

from app.features import feature_set, outcomes
from app.features.histories import Histories
from app.features.payments import payments
from app.features.vector import vectors
from tests.support.payments import DAY, HOUR, Payment, arrivals, silver, taken


def test_every_feature_has_a_name_of_its_own_and_a_meaning() -> None:
    assert len(set(feature_set.NAMES)) == feature_set.COUNT == 24
    assert all(feature.meaning for feature in feature_set.FEATURES)


def test_the_version_changes_with_what_the_numbers_mean() -> None:
    """If this fails, a number means something else than models were trained on: raise VERSION, then write the new digest here."""
    rng = np.random.default_rng(1)
    stream = [
        Payment(f"{i:03d}", int(at), int(amount), "GBP", f"{payer}", f"{payee}")
        for i, (at, amount, payer, payee) in enumerate(
            zip(rng.integers(0, 200 * DAY, 400), rng.integers(-(10**6), 10**6, 400), *rng.integers(0, 9, (2, 400)), strict=True)
        )
    ]
    ordered, _ = payments(silver(stream))
    # Rounded: the last bits of a logarithm are the machine's.
    definition = repr(feature_set.NAMES) + np.array2string(vectors(ordered), precision=6, suppress_small=True, threshold=sys.maxsize)
    assert (feature_set.VERSION, hashlib.sha256(definition.encode()).hexdigest()[:16]) == (1, "2f0262e88701e8c5")


def test_the_numbers_are_those_that_the_names_say() -> None:
    online = Histories()
    online.take(arrivals([Payment("1", 0, -10_000, "GBP", "A", "B")]))
    online.take(arrivals([Payment("2", DAY, 30_000, "GBP", "C", "A")]))
    (third,) = taken(online, [Payment("3", DAY + 6 * HOUR, -15_000, "GBP", "A", "D")])
    found = dict(zip(feature_set.NAMES, third.tolist(), strict=True))
    expected = {
        "log_amount": np.log1p(15_000), "hour_sin": 1.0, "hour_cos": 0.0, "payer_out_1h": 0.0, "payer_out_24h": 0.0,
        "payer_out_30d": np.log(2), "payer_out_sum_24h": 0.0, "payer_out_sum_30d": np.log1p(10_000), "payer_payees_7d": np.log(2),
        "payer_since_out": np.log(31), "payer_age": np.log(31), "payer_burst": 1 / (1 / 7 + 1), "payee_in_24h": 0.0, "payee_in_7d": 0.0,
        "payee_in_sum_7d": 0.0, "payee_payers_7d": 0.0, "payee_age": 0.0, "payee_burst": 1.0, "payer_pass_through": 0.5,
        "payer_since_in": np.log(7), "payer_payers_7d": np.log(2), "new_counterparty": 1.0, "payer_amount_z": 0.0, "payee_amount_z": 0.0,
    }  # fmt: skip
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), atol=1e-12)


def test_an_amount_far_from_the_usual_deviates_and_a_short_history_says_little() -> None:
    def deviation(history: int) -> float:
        online = Histories()
        for number in range(history):
            online.take(arrivals([Payment(f"{number:03d}", number, -1_000, "GBP", "A", "B")]))
        return float(taken(online, [Payment("z", 1_000, -100_000, "GBP", "A", "B")])[0, feature_set.NAMES.index("payer_amount_z")])

    assert deviation(1) == 0.0
    assert 0 < deviation(2) < deviation(20) < deviation(200)


def test_the_page_on_detection_lists_every_feature() -> None:
    page = (Path(__file__).parents[3] / "docs/detection.md").read_text()
    for feature in (*feature_set.FEATURES, *outcomes.FEATURES):
        assert f"| `{feature.name}` | {feature.meaning} | {feature.unit} | {feature.window} |" in page
