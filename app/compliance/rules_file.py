"""Retention rules as a YAML file: a list of mappings with the fields of ``RetentionRule``, so that a change of rule is a change of data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import date
from typing import Any, Final, TypeVar

import yaml

from app.contracts.retention_rules import NAMES, Clock, Ending, RetentionRule
from app.errors import UsageError

_FIELDS: Final = {field.name: field for field in fields(RetentionRule)}
_REQUIRED: Final = [name for name, field in _FIELDS.items() if field.default is MISSING]
_MOST_YEARS: Final = 200
_Named = TypeVar("_Named", Clock, Ending)


def parse(text: str, name: str) -> tuple[RetentionRule, ...]:
    """The rules of a file called ``name``; UsageError names the rule and the field that is wrong.

    Clock and ending are written as the names of their values (``relationship_ended``, ``must_erase``), days as ISO dates.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    given = document.get("rules") if isinstance(document, Mapping) else document
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise UsageError(f"{name} has no rules: it is a list of rules, or a mapping with that list as `rules`")
    rules = tuple(_rule(one, f"{name}, rule {number}") for number, one in enumerate(given, start=1))
    keys = [(rule.name, rule.in_force_from) for rule in rules]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"{name}: {twice[0]} from {twice[1]} on is there twice")
    return rules


def merged(rules: Iterable[RetentionRule], changes: Iterable[RetentionRule]) -> tuple[RetentionRule, ...]:
    """Rules with others added; one of the same name and first day takes the other's place."""
    found = {(rule.name, rule.in_force_from): rule for rule in (*rules, *changes)}
    return tuple(sorted(found.values(), key=lambda rule: (NAMES.index(rule.name), rule.in_force_from)))


def document(rule: RetentionRule) -> dict[str, Any]:
    """A rule as such a file has it."""
    said = {name: getattr(rule, name) for name in _FIELDS}
    return said | {"in_force_from": rule.in_force_from.isoformat(), "clock": rule.clock.name.lower(), "ending": rule.ending.name.lower()}


def _rule(given: object, where: str) -> RetentionRule:
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} is not a mapping of fields")
    unknown = [str(name) for name in given if name not in _FIELDS]
    if unknown:
        raise UsageError(f"{where}: there is no field {unknown[0]}; there are {', '.join(_FIELDS)}")
    missing = [name for name in _REQUIRED if given.get(name) in (None, "")]
    if missing:
        raise UsageError(f"{where}: the field {missing[0]} is missing")
    if given["name"] not in NAMES:
        raise UsageError(f"{where}: name: there is no retention rule {given['name']}; there are {', '.join(NAMES)}")
    return RetentionRule(
        str(given["name"]),
        _day(given["in_force_from"], where),
        _years(given["years"], where, "years"),
        _named(Clock, given["clock"], where, "clock"),
        _named(Ending, given["ending"], where, "ending"),
        _text(given["law"], where, "law"),
        _text(given["article"], where, "article"),
        _text(given["sentence"], where, "sentence"),
        None if given.get("most_years") is None else _years(given["most_years"], where, "most_years"),
    )


def _day(value: object, where: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise UsageError(f"{where}: in_force_from: {value} is not a day, such as 2027-01-01") from None


def _years(value: object, where: str, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_YEARS:
        raise UsageError(f"{where}: {field}: {value} is not a whole number of years from 0 to {_MOST_YEARS}")
    return value


def _text(value: object, where: str, field: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: {field}: {value} is not a text")
    return value


def _named(kind: type[_Named], value: object, where: str, field: str) -> _Named:
    for one in kind:
        if value in (one.name.lower(), one.value):
            return one
    raise UsageError(f"{where}: {field}: {value} is none of {', '.join(one.name.lower() for one in kind)}")
