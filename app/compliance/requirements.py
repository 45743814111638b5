"""The framework map: what each framework asks that touches this system, what answers it, which tests show it, what they do not cover.

It is data (``data/requirements.toml``), and no legal advice: facts in our own words. That its modules and tests exist is tested.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

from app.errors import UsageError


class Status(StrEnum):
    """How much of what is asked of a system Leofric does."""

    BUILT = "built"
    PARTLY = "partly"
    NOT_BUILT = "not built"


EVIDENCE: Final = (
    "runs",
    "chain",
    "trail",
    "quarantine",
    "four_eyes",
    "quality",
    "models",
    "alerts",
    "feedback",
    "drift",
    "keys",
    "reference",
    "versions",
)
"""The sections of the report of a period, to which requirements point."""


@dataclass(frozen=True)
class Framework:
    """A set of rules: its name, where it is written, and for whom it is."""

    name: str
    source: str
    note: str


@dataclass(frozen=True)
class Requirement:
    """One thing that a framework asks. ``tests`` are written file::name; ``evidence`` are sections of the report."""

    id: str
    framework: str
    reference: str
    asks: str
    control: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    covers_not: str
    status: Status
    evidence: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The requirement as JSON has it."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _LISTS}


_LISTS: Final = ("modules", "tests", "evidence")
_NAMES: Final = frozenset(field.name for field in fields(Requirement))


@dataclass(frozen=True)
class FrameworkMap:
    """All frameworks, and their requirements in the file's order."""

    frameworks: tuple[Framework, ...]
    requirements: tuple[Requirement, ...]

    def of(self, framework: str | None) -> "FrameworkMap":
        """The map of one framework, whose name may be written in any case, or begun only; UsageError if none or several are so named."""
        if framework is None:
            return self
        wanted = framework.strip().casefold()
        found = [one for one in self.frameworks if one.name.casefold() == wanted] or [
            one for one in self.frameworks if wanted and one.name.casefold().startswith(wanted)
        ]
        if len(found) != 1:
            names = ", ".join(one.name for one in self.frameworks)
            raise UsageError(f"{framework!r} is {'no' if not found else 'more than one'} framework of the map; it has {names}")
        return FrameworkMap(tuple(found), tuple(one for one in self.requirements if one.framework == found[0].name))

    def counts(self) -> dict[str, dict[str, int]]:
        """By framework, how many requirements have which status."""
        return {
            framework.name: {
                status.value: sum(one.framework == framework.name and one.status is status for one in self.requirements)
                for status in Status
            }
            for framework in self.frameworks
        }


@cache
def framework_map() -> FrameworkMap:
    """The map that comes with Leofric."""
    return parse(resources.files("app.compliance").joinpath("data", "requirements.toml").read_text(encoding="utf-8"))


def parse(text: str) -> FrameworkMap:
    """A map from its text; UsageError names the requirement that is none."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the framework map cannot be read: {error}") from None
    frameworks = tuple(Framework(**one) for one in data["framework"])
    return FrameworkMap(frameworks, tuple(_requirement(one, [f.name for f in frameworks]) for one in data["requirement"]))


def _requirement(said: Mapping[str, Any], frameworks: Sequence[str]) -> Requirement:
    name = said.get("id", "without an id")
    if said.keys() != _NAMES:
        raise UsageError(f"requirement {name} of the framework map has {sorted(said.keys() ^ _NAMES)} too much or too little")
    if said["status"] not in set(Status):
        raise UsageError(f"requirement {name} has the status {said['status']!r}; it may be {', '.join(Status)}")
    if said["framework"] not in frameworks:
        raise UsageError(f"requirement {name} is of the framework {said['framework']!r}, which the map does not have")
    return Requirement(**{**said, "status": Status(said["status"])} | {lists: tuple(said[lists]) for lists in _LISTS})
