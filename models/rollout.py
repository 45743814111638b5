"""A challenger on a share of the traffic: which payments are in the share, and when it has to be taken away again."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from app.lake.rollouts import Rollout
from models import profile
from models.profile import Spread
from models.trees import Scores


def in_share(transaction_ids: Sequence[str], number: int, share: float) -> npt.NDArray[np.bool_]:
    """Which payments are in a rollout's share: every process says the same of a payment, whenever it is asked.

    A larger share of the same rollout has all of a smaller one; another rollout has other payments.
    """
    salt = number.to_bytes(blake2b.SALT_SIZE, "big")
    words = b"".join(blake2b(name.encode(), digest_size=8, salt=salt).digest() for name in transaction_ids)
    # 53 bits are what a float holds exactly, so that a share of 1 is everything.
    return np.asarray((np.frombuffer(words, ">u8") >> 11) * 2.0**-53 < share)


class Monitor:
    """What a challenger has done since it was loaded, held against its rollout's limits.

    Its scores are held against those of its own training window: what a champion says is on another scale, and may differ for good reason.
    """

    def __init__(self, rollout: Rollout, trained: Spread) -> None:
        self._rollout = rollout
        self._trained = trained
        self._counts = np.zeros(len(trained.shares), dtype=np.int64)
        self.errors = 0

    @property
    def payments(self) -> int:
        """How many payments it was given."""
        return int(self._counts.sum()) + self.errors

    @property
    def drift(self) -> float | None:
        """How far its scores are from those of its training window (PSI); None before it has given any."""
        return profile.psi(self._trained, self._counts) if self._counts.any() else None

    def scored(self, scores: Scores) -> None:
        """It has given these scores."""
        self._counts += self._trained.counts(scores)

    def failed(self, payments: int) -> None:
        """It has given no score for so many payments."""
        self.errors += payments

    def over(self) -> str | None:
        """Which limit it is over, and by what; None while it may go on.

        Errors are judged as soon as the payments that are still to come before judging could not make up for them.
        """
        limits, payments, drift = self._rollout, self.payments, self.drift
        if self.errors > limits.most_errors * max(payments, limits.least):
            return f"it failed on {self.errors:,} of {payments:,} payments; at most {limits.most_errors:.2%} may fail"
        if payments >= limits.least and drift is not None and drift > limits.most_drift:
            return f"its scores of {payments:,} payments are at a PSI of {drift:.3f} from its training window, over {limits.most_drift:g}"
        return None
