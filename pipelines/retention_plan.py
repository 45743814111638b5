"""A plan of retention for people and programs: by table and month what is kept until when and why, what would go, what is held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from app.compliance.retention import Fate, claims, is_personal
from app.compliance.rules_file import document as rule_document
from app.compliance.rules_file import merged
from app.contracts.lake import TABLES
from app.contracts.retention_rules import RetentionRule
from app.errors import UsageError
from app.lake import layout
from app.lake.lake import Lake
from pipelines.retention import LEFT, Basis, Group, Selection, basis, select

COLD_DAYS: Final = 365
"""A day's partition of a table that is older than this is cold, unless somebody says otherwise."""


@dataclass
class Month:
    """A table's month, or what of the table has no day; counts by fate."""

    table: str
    month: str
    rows: int = 0
    size: int = 0
    fates: dict[Fate, int] = field(default_factory=dict)
    rules: set[RetentionRule] = field(default_factory=set)
    until: set[date | None] = field(default_factory=set)
    holds: set[int] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)

    def add(self, group: Group) -> None:
        """Count rows of one verdict."""
        self.rows += group.rows
        self.size += round(group.part.size * group.rows / group.part.rows) if group.part.rows else 0
        fate = Fate.KEPT if group.note else group.verdict.fate
        self.fates[fate] = self.fates.get(fate, 0) + group.rows
        self.rules.add(group.verdict.rule)
        self.until.add(group.verdict.until)
        self.holds.update(group.verdict.holds)
        self.notes.update([group.note] if group.note else [])

    def document(self) -> dict[str, Any]:
        """The month as JSON has it; ``keep_until`` is the first day on which the last of it need not be kept, null if not known."""
        known = [day for day in self.until if day is not None]
        return {
            "table": self.table,
            "month": self.month,
            "rows": self.rows,
            "bytes": self.size,
            "must_go": self.fates.get(Fate.MUST_GO, 0),
            "may_go": self.fates.get(Fate.MAY_GO, 0),
            "held": self.fates.get(Fate.HELD, 0),
            "holds": sorted(self.holds),
            "keep_until": max(known).isoformat() if known and None not in self.until else None,
            "rules": [
                {"rule": rule.name, "law": rule.law, "article": rule.article, "in_force_from": rule.in_force_from.isoformat()}
                for rule in sorted(self.rules, key=lambda rule: rule.name)
            ],
            "notes": sorted(self.notes),
        }


def months(selection: Selection) -> list[Month]:
    """What was selected, by table and month; tables in the order of their contracts."""
    found: dict[tuple[str, str], Month] = {}
    for group in selection.groups:
        key = (group.part.contract.path, "" if group.part.day is None else f"{group.part.day:%Y-%m}")
        found.setdefault(key, Month(*key)).add(group)
    order = {contract.path: number for number, contract in enumerate(TABLES)}
    return [found[key] for key in sorted(found, key=lambda key: (order[key[0]], key[1]))]


def document(lake: Lake, selection: Selection, cold_days: int = COLD_DAYS) -> dict[str, Any]:
    """A plan as one document."""
    every = [month.document() for month in months(selection)]
    cold = sum({(g.part.contract.path, g.part.path): g.part.size for g in selection.groups if _is_cold(g, selection, cold_days)}.values())
    totals = {name: sum(one[name] for one in every) for name in ("rows", "bytes", "must_go", "may_go", "held")}
    on = selection.basis
    return {
        "on": on.on.isoformat(),
        "relationships": None if on.relationships.sha256 is None else _relationships(on),
        "holds": [{"hold": hold.number, "kind": hold.kind.value, "about": hold.about, "why": hold.why} for hold in on.holds],
        "months": every,
        "left": LEFT,
        "totals": totals | {"cold_bytes": cold, "cold_after_days": cold_days},
        "kept_files": sum(1 for _ in lake.storage.entries(layout.KEPT_FILES)),
    }


def _relationships(on: Basis) -> dict[str, Any]:
    known = on.relationships
    return {"in_force_from": str(known.in_force_from), "sha256": known.sha256, "accounts": len(known.accounts)}


def _is_cold(group: Group, selection: Selection, days: int) -> bool:
    return group.part.day is not None and (selection.basis.on - group.part.day).days > days


def plan(lake: Lake, on: date) -> Selection:
    """What would be done on a day."""
    return select(lake, basis(lake, on))


def in_force_on(rules: Iterable[RetentionRule], on: date) -> list[dict[str, Any]]:
    """The rules in force on a day, and the tables that each claims."""
    begun = [rule for rule in rules if rule.in_force_from <= on]
    last = {rule.name: rule for rule in sorted(begun, key=lambda rule: rule.in_force_from)}
    tables = {name: [contract.path for contract in TABLES if name in claims(contract)] for name in last}
    return [rule_document(rule) | {"tables": tables[name]} for name, rule in last.items()]


@dataclass(frozen=True)
class _Until:
    """Until when a day of a table is kept at the latest, by which rule, and what would go now."""

    until: date | None
    rule: RetentionRule
    goes: int
    rows: int


def impact(lake: Lake, on: date, changes: Sequence[RetentionRule]) -> dict[str, Any]:
    """What these rules, added to the lake's, would change of the plan of a day: what would be kept longer or less long, and what goes."""
    before = basis(lake, on)
    after = replace(before, rules=merged(before.rules, changes))
    old, new = (_latest(select(lake, one)) for one in (before, after))
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for (table, day), one in new.items():
        was = old[table, day]
        if (was.until, was.goes) == (one.until, one.goes):
            continue
        key = (table, one.rule.law, one.rule.article)
        said = found.setdefault(key, dict.fromkeys(("rows", "earlier", "later", "go_before", "go_after"), 0))
        said["rows"] += one.rows
        sooner = (_number(one.until), -one.goes) < (_number(was.until), -was.goes)
        said["earlier" if sooner else "later"] += one.rows
        said["go_before"] += was.goes
        said["go_after"] += one.goes
    tables = [{"table": table, "law": law, "article": article} | said for (table, law, article), said in sorted(found.items())]
    totals = {name: sum(one[name] for one in tables) for name in ("rows", "earlier", "later", "go_before", "go_after")}
    return {"on": on.isoformat(), "rules": [rule_document(rule) for rule in changes], "tables": tables, "totals": totals}


def _number(until: date | None) -> int:
    return (until or date.max).toordinal()


def _latest(selection: Selection) -> Mapping[tuple[str, date | None], _Until]:
    found: dict[tuple[str, date | None], _Until] = {}
    for group in selection.groups:
        key = (group.part.contract.path, group.part.day)
        goes = group.rows if group.verdict.fate.goes and not group.note else 0
        was = found.get(key)
        if was is None:
            found[key] = _Until(group.verdict.until, group.verdict.rule, goes, group.rows)
            continue
        later = group.verdict if _number(group.verdict.until) >= _number(was.until) else was
        found[key] = _Until(later.until, later.rule, was.goes + goes, was.rows + group.rows)
    return found


def tiers(cold_days: int) -> dict[str, Any]:
    """Rules for the lifecycle of a bucket that holds a lake: which prefixes are seldom read after how many days.

    Nothing here expires anything: only a run of retention deletes, and what it deletes is gone. Logs of tables are never cold.
    """
    if cold_days < 1:
        raise UsageError(f"--cold-after {cold_days}: a number of days, 1 or more")
    prefixes = []
    for contract in TABLES:
        days = [name for name in contract.partition_by if name.endswith("_date")]
        prefixes += [
            {"table": contract.path, "prefix": f"{contract.path}/{day}=", "after_days": cold_days, "personal": is_personal(contract)}
            for day in days
        ]
    prefixes.append({"table": None, "prefix": f"{layout.KEPT_FILES}/", "after_days": cold_days, "personal": True})
    return {"move": prefixes, "expire": [], "never": [layout.OWN + "/", *(f"{contract.path}/_delta_log/" for contract in TABLES)]}
