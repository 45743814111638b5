"""The rule pack: every scenario by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from app.detection import dormant, fan, pass_through, structuring, velocity
from app.detection.alert import Alert
from app.detection.book import Book
from app.detection.thresholds import in_force


@dataclass(frozen=True)
class Scenario:
    """One scenario. ``tested_on`` names the data that shows it at work; empty where none does."""

    name: str
    find: Callable[[Book, Mapping[str, int]], list[Alert]]
    tested_on: str


SCENARIOS = (
    Scenario(velocity.NAME, velocity.find, "the sample bank"),
    Scenario(structuring.NAME, structuring.find, "the sample bank"),
    Scenario(pass_through.NAME, pass_through.find, "the sample bank"),
    Scenario(dormant.NAME, dormant.find, "the sample bank, with a silence of four days"),
    Scenario(fan.FAN_IN, fan.find_in, "the sample bank"),
    Scenario(fan.FAN_OUT, fan.find_out, "the sample bank"),
)


def find_all(book: Book, on: date) -> dict[str, list[Alert]]:
    """The alerts of every scenario, with the thresholds that are in force on a day."""
    return {scenario.name: scenario.find(book, in_force(scenario.name, on)) for scenario in SCENARIOS}
