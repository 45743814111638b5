"""The rule pack: every scenario by its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa

from app.columns import Mask
from app.detection import cycle, dormant, fan, high_risk_country, new_payee, pass_through, round_amounts, structuring, velocity
from app.detection.alert import Alert
from app.detection.book import SECOND_US, Book
from app.detection.sight import Sights
from app.detection.thresholds import in_force
from app.features.payments import Int64s
from app.features.timeline import HORIZON_US


@dataclass(frozen=True)
class Scenario:
    """One scenario. ``tested_on`` names the data that shows it at work; empty where none does.

    One that follows money from account to account cannot look at one account after the other: ``relevant`` gives the rows of silver that
    it needs, of all accounts, back to ``window`` seconds (one of its thresholds) before the first that is new.

    A ``windowed`` one says of a payment what its window tells, and whether the condition held already at a payment in it: what was booked
    more than two windows before changes nothing.
    """

    name: str
    find: Callable[[Book, Mapping[str, int]], list[Alert]]
    tested_on: str
    possible: Callable[[Sights, Mapping[str, int]], Mask] | None = None  # the guard; None: follows money through other accounts
    windowed: bool = False
    relevant: Callable[[pa.Table, Mapping[str, int]], pa.Table] | None = None

    def reach_us(self, thresholds: Mapping[str, int]) -> int:
        """How long before a payment another one can matter to it."""
        return 2 * thresholds["window"] * SECOND_US if self.windowed else HORIZON_US


SCENARIOS = (
    Scenario(velocity.NAME, velocity.find, "the sample bank", velocity.possible, windowed=True),
    Scenario(structuring.NAME, structuring.find, "the sample bank", structuring.possible, windowed=True),
    Scenario(pass_through.NAME, pass_through.find, "the sample bank", pass_through.possible, windowed=True),
    Scenario(dormant.NAME, dormant.find, "the sample bank, with a silence of four days", dormant.possible),
    Scenario(fan.FAN_IN, fan.find_in, "the sample bank", fan.possible_in, windowed=True),
    Scenario(fan.FAN_OUT, fan.find_out, "the sample bank", fan.possible_out, windowed=True),
    Scenario(cycle.NAME, cycle.find, "the sample bank", relevant=cycle.relevant),
    Scenario(round_amounts.NAME, round_amounts.find, "the sample bank", round_amounts.possible, windowed=True),
    Scenario(high_risk_country.NAME, high_risk_country.find, "the sample bank", high_risk_country.possible),
    Scenario(new_payee.NAME, new_payee.find, "the sample bank", new_payee.possible),
)


ACROSS = tuple(scenario for scenario in SCENARIOS if scenario.relevant is not None)
"""Those that follow money from account to account."""
OF_ACCOUNTS = tuple(scenario for scenario in SCENARIOS if scenario.relevant is None)


def find_all(book: Book, on: date, scenarios: Sequence[Scenario] = SCENARIOS) -> dict[str, list[Alert]]:
    """The alerts of some scenarios, by the thresholds that are in force on a day."""
    return {scenario.name: scenario.find(book, in_force(scenario.name, on)) for scenario in scenarios}


@dataclass(frozen=True)
class Possible:
    """A scenario, its thresholds, and the payments (their places among those that were looked at) that could complete it."""

    scenario: Scenario
    thresholds: Mapping[str, int]
    places: Int64s


def possible(sights: Sights, on: date) -> list[Possible]:
    """The scenarios of accounts that some of the payments could complete, by their guards; most payments complete none."""
    found = [Possible(scenario, thresholds, np.flatnonzero(guard(sights, thresholds))) for scenario, guard, thresholds in _guards(on)]
    return [one for one in found if len(one.places)]


@lru_cache(maxsize=4)
def _guards(on: date) -> list[tuple[Scenario, Callable[[Sights, Mapping[str, int]], Mask], Mapping[str, int]]]:
    return [(one, one.possible, in_force(one.name, on)) for one in OF_ACCOUNTS if one.possible is not None]
