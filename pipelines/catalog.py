"""The catalogue: what the contracts say, as rows, as answers to a search, and as a page of the documentation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from app.contracts import landing
from app.contracts.examples import Example
from app.contracts.lake import TABLES
from app.contracts.retention_rules import RULES, RetentionRule
from app.contracts.table import Column, TableContract
from app.errors import UsageError

CONTRACTS = (landing.TABLE, *TABLES)
"""What the catalogue lists: the landing contract, then the lake's tables."""


def table_rows(contracts: Iterable[TableContract] = CONTRACTS) -> list[dict[str, Any]]:
    """A row a table."""
    return [
        {
            "table": contract.path,
            "sql_name": contract.name,
            "columns": len(contract.columns),
            "most_sensitive": most_sensitive(contract),
            "owner": str(contract.owner or ""),
            "retention": contract.retention or "",
            "meaning": contract.meaning,
        }
        for contract in contracts
    ]


def most_sensitive(contract: TableContract) -> str:
    """The most sensitive class among a table's columns."""
    classes = list(type(contract.columns[0].classification))
    return str(max((column.classification for column in contract.columns), key=classes.index))


def column_rows(contract: TableContract) -> list[dict[str, Any]]:
    """A row a column, with all that its contract says."""
    return [
        {
            "column": column.name,
            "type": str(column.type),
            "unit": contract.unit_of(column),
            "null": "allowed" if column.nullable else "no",
            "class": str(column.classification),
            "owner": str(contract.owner_of(column) or ""),
            "retention": contract.retention_of(column) or "",
            "example": written(contract.example_of(column)),
            "meaning": column.meaning,
            "rule": rule_of(column),
        }
        for column in contract.columns
    ]


def rule_of(column: Column) -> str:
    """What each value must be, beside its type."""
    parts = [] if column.pattern is None else [f"matches {column.pattern}"]
    parts += [] if column.least is None else [f"at least {column.least}"]
    return ", ".join(parts)


def written(example: Example | None) -> str:
    """An example as people read it."""
    if example is None:
        return ""
    if isinstance(example, tuple):
        return "[" + ", ".join(written(one) for one in example) + "]"
    if isinstance(example, bytes):
        return example.decode()
    if isinstance(example, datetime):
        return example.isoformat().replace("+00:00", "Z")
    if isinstance(example, bool):
        return str(example).lower()
    return example.isoformat() if isinstance(example, date) else str(example)


def contract_named(name: str, contracts: Iterable[TableContract] = CONTRACTS) -> TableContract:
    """The contract of a table by its path or its name in SQL; UsageError if there is none."""
    known = tuple(contracts)
    for contract in known:
        if name in (contract.path, contract.name):
            return contract
    near = get_close_matches(name, [word for contract in known for word in (contract.path, contract.name)], 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no table {name}; there are {', '.join(contract.path for contract in known)}{meant}")


@dataclass(frozen=True)
class Hit:
    """A table, or a column of one, that a search found; ``column`` is empty for the table itself."""

    table: str
    column: str
    score: int
    classification: str
    owner: str
    meaning: str


# A word counts for this much where it is the name, a part of the name, the class or the owner, or stands in the meaning.
_IS_NAME, _IN_NAME, _IN_CLASS, _IN_MEANING = 8, 4, 2, 1


def search(words: str, contracts: Iterable[TableContract] = CONTRACTS) -> list[Hit]:
    """Tables and columns that have every word in their name, meaning, class or owner; the best first, then in the catalogue's order.

    UsageError if there is no word.
    """
    wanted = words.lower().split()
    if not wanted:
        raise UsageError("name a word to look for")
    hits = []
    for contract in contracts:
        own = (contract.path, contract.meaning, most_sensitive(contract), str(contract.owner or ""))
        candidates = [("", own)]
        candidates += [(c.name, (c.name, c.meaning, str(c.classification), str(contract.owner_of(c) or ""))) for c in contract.columns]
        for column, (name, meaning, classification, owner) in candidates:
            scores = [_score(word, name.lower(), meaning.lower(), f"{classification} {owner}") for word in wanted]
            if all(scores):
                hits.append(Hit(contract.path, column, sum(scores), classification, owner, meaning))
    return sorted(hits, key=lambda hit: -hit.score)


def _score(word: str, name: str, meaning: str, classes: str) -> int:
    places = [
        (_IS_NAME, word == name),
        (_IN_NAME, word in name),
        (_IN_CLASS, word in classes),
        (_IN_MEANING, word in meaning),
    ]
    return sum(weight for weight, found in places if found)


def dictionary() -> str:
    """All contracts as a page of the documentation."""
    lines = [
        "# Data dictionary",
        "",
        "Every column of every table. Made from the contracts by `leofric catalog dictionary`; `leofric catalog search` finds a column.",
        "Examples are made up.",
        "",
    ]
    for contract in CONTRACTS:
        lines += _section(contract)
    lines += [
        "## Retention rules",
        "",
        "What the law says, in our own words; a rule is in force from its day until the next of its name.",
        "",
    ]
    lines += _markdown([retention_row(rule) for rule in RULES])
    return "\n".join(lines) + "\n"


def retention_row(rule: RetentionRule) -> dict[str, Any]:
    """A retention rule for people."""
    return {
        "rule": rule.name,
        "from": rule.in_force_from.isoformat(),
        "kept": kept(rule),
        "then": str(rule.ending),
        "law": f"{rule.law}, {rule.article}",
        "what it says": rule.sentence,
    }


def kept(rule: RetentionRule) -> str:
    """How long a rule has records kept, as a phrase."""
    unit = "year" if rule.years == 1 else "years"
    return f"{rule.years} {unit} from when {rule.clock}" + (f", at most {rule.most_years} from when it was made" if rule.most_years else "")


def _section(contract: TableContract) -> list[str]:
    about = f"{contract.meaning[0].upper()}{contract.meaning[1:]}. Owner: {contract.owner}; kept by the rule `{contract.retention}`."
    if contract.partition_by:
        about += f" Partitioned by {', '.join(contract.partition_by)}."
    if contract.append_only:
        about += " Rows are only added."
    names = ("column", "type", "unit", "null", "class", "meaning", "rule", "example")
    rows = [{name: row[name] for name in names} for row in column_rows(contract)]
    for row, column, full in zip(rows, contract.columns, column_rows(contract), strict=True):
        if column.owner or column.retention:  # the section's head says the others'
            row["meaning"] += f" (owner: {full['owner']}; kept by `{full['retention']}`)"
        row |= {name: f"`{row[name]}`" for name in ("column", "type", "example")}
    return [f"## {contract.path}", "", about, "", *_markdown(rows), ""]


def _markdown(rows: list[dict[str, Any]]) -> list[str]:
    """A table in Markdown; a bar in a cell is escaped, or it would end the cell."""
    cells = [[str(value).replace("|", "\\|") for value in row.values()] for row in rows]
    return [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0]), *(f"| {' | '.join(row)} |" for row in cells)]


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts into a folder, each whole or not at all; UsageError if the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            unfinished = folder / f".{name}.part"
            try:
                unfinished.write_text(text, encoding="utf-8")
                unfinished.replace(folder / name)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; name a folder that can") from None
