"""Letting go of payments that are too old to matter, while requests are answered."""

from datetime import date, datetime
from typing import Final

import numpy as np

from app.detection import dormant, thresholds
from app.features.payments import DAY_US
from app.features.timeline import HORIZON_US
from app.features.trimming import Trimming
from serve.engine import Engine

KEPT_US: Final = HORIZON_US + 2 * DAY_US
"""How far back before the newest payment's day payments are kept: the horizon, and the day on which a dormant account wakes."""
_SHARE: Final = 8
"""Old payments go when they are one in so many: what stays is copied."""


class Trim:
    """One time of letting go."""

    def __init__(self, engine: Engine, before_us: int, today: date) -> None:
        """The long part, which may run beside the requests."""
        self.before_us = before_us
        self.trimming: Trimming | None = engine.histories.trimming(before_us)
        self.dropped = self.trimming.dropped
        silence = thresholds.in_force(dormant.NAME, today)["silence"] * 1_000_000
        ends = {account: (day + 1) * DAY_US - 1 for account, day in self.trimming.last_days("GBP").items()}
        awake = self.trimming.awake("GBP", before_us + silence)  # these cannot have been dormant across it
        self._earlier = {account: at for account, at in ({**engine.earlier, **ends}).items() if account not in awake}

    def finish(self, engine: Engine) -> None:
        """The short part."""
        if self.trimming is not None:
            self.trimming.finish()
            engine.begin_later(self.before_us, self._earlier)

    def let_go(self) -> None:
        """Free the memory, which takes its time, too."""
        self.trimming = None


def begun(engine: Engine, now: datetime) -> Trim | None:
    """The long part of letting go, if enough is old. A payment that is booked in the future makes nothing old."""
    booked_at = engine.histories.booked_at()
    newest = min(int(booked_at.max(initial=0)), int(now.timestamp() * 1_000_000))
    before_us = newest // DAY_US * DAY_US - KEPT_US
    if np.count_nonzero(booked_at < before_us) * _SHARE < max(len(booked_at), 1):
        return None
    return Trim(engine, before_us, now.date())
