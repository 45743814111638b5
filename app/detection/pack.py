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
from app.detection.book import Book
from app.detection.sight import Sights
from app.detection.thresholds import in_force


@dataclass(frozen=True)
class Scenario:
    """One scenario. ``tested_on`` names the data that shows it at work; empty where none does.

    One that follows money from account to account cannot look at one account after the other: ``relevant`` gives the rows of silver that
    it needs, of all accounts, back to ``window`` seconds (one of its thresholds) before the first that is new.
    """

    name: str
    find: Callable[[Book, Mapping[str, int]], list[Alert]]
    tested_on: str
    possible: Callable[[Sights, Mapping[str, int]], Mask] | None = None  # the guard; None: follows money through other accounts
    relevant: Callable[[pa.Table, Mapping[str, int]], pa.Table] | None = None


SCENARIOS = (
    Scenario(velocity.NAME, velocity.find, "the sample bank", velocity.possible),
    Scenario(structuring.NAME, structuring.find, "the sample bank", structuring.possible),
    Scenario(pass_through.NAME, pass_through.find, "the sample bank", pass_through.possible),
    Scenario(dormant.NAME, dormant.find, "the sample bank, with a silence of four days", dormant.possible),
    Scenario(fan.FAN_IN, fan.find_in, "the sample bank", fan.possible_in),
    Scenario(fan.FAN_OUT, fan.find_out, "the sample bank", fan.possible_out),
    Scenario(cycle.NAME, cycle.find, "the sample bank", relevant=cycle.relevant),
    Scenario(round_amounts.NAME, round_amounts.find, "the sample bank", round_amounts.possible),
    Scenario(high_risk_country.NAME, high_risk_country.find, "the sample bank", high_risk_country.possible),
    Scenario(new_payee.NAME, new_payee.find, "the sample bank", new_payee.possible),
)


ACROSS = tuple(scenario for scenario in SCENARIOS if scenario.relevant is not None)
"""Those that follow money from account to account."""
OF_ACCOUNTS = tuple(scenario for scenario in SCENARIOS if scenario.relevant is None)


def find_all(book: Book, on: date, scenarios: Sequence[Scenario] = SCENARIOS) -> dict[str, list[Alert]]:
    """The alerts of some scenarios, by the thresholds that are in force on a day."""
    return {scenario.name: scenario.find(book, in_force(scenario.name, on)) for scenario in scenarios}


def possible(sights: Sights, on: date) -> list[list[Scenario]]:
    """The scenarios of accounts that each payment could complete, by their guards; most payments complete none."""
    found: list[list[Scenario]] = [[] for _ in range(len(sights.amount))]
    for scenario, guard, thresholds in _guards(on):
        for row in np.flatnonzero(guard(sights, thresholds)).tolist():
            found[row].append(scenario)
    return found


@lru_cache(maxsize=4)
def _guards(on: date) -> list[tuple[Scenario, Callable[[Sights, Mapping[str, int]], Mask], Mapping[str, int]]]:
    return [(one, one.possible, in_force(one.name, on)) for one in OF_ACCOUNTS if one.possible is not None]
