"""The thresholds of scenarios: data, with a day from which each is in force, an owner and a reason."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from app.errors import UsageError


@dataclass(frozen=True)
class Threshold:
    """One line of the rule pack."""

    scenario: str
    name: str
    value: int
    unit: str
    in_force_from: date
    owner: str
    why: str


@cache
def thresholds() -> tuple[Threshold, ...]:
    """Every threshold of the pack, in the file's order."""
    text = resources.files("app.detection").joinpath("data", "thresholds.csv").read_text(encoding="utf-8")
    return tuple(
        Threshold(
            row["scenario"], row["name"], int(row["value"]), row["unit"], date.fromisoformat(row["in_force_from"]), row["owner"], row["why"]
        )
        for row in csv.DictReader(text.splitlines())
    )


def in_force(scenario: str, on: date, changes: Mapping[str, int] | None = None) -> dict[str, int]:
    """A scenario's thresholds on a day, with some ``changes`` to try; UsageError if there is no such threshold."""
    found: dict[str, int] = {}
    for threshold in sorted(thresholds(), key=lambda one: one.in_force_from):
        if threshold.scenario == scenario and threshold.in_force_from <= on:
            found[threshold.name] = threshold.value
    if not found:
        raise UsageError(
            f"no scenario {scenario!r} is in force on {on}; there are {', '.join(sorted({one.scenario for one in thresholds()}))}"
        )
    unknown = sorted(set(changes or {}) - set(found))
    if unknown:
        raise UsageError(f"the scenario {scenario} has no threshold {unknown[0]!r}; it has {', '.join(found)}")
    return found | dict(changes or {})
