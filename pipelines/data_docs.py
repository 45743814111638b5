"""Data docs: the catalogue as pages that need no server and load nothing; with a lake, also what is in it, masked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from markupsafe import Markup

from app.compliance.masking import masked
from app.contracts.lake import BRONZE, DATA_QUALITY_DAILY, DUPLICATES, QUARANTINE, SILVER
from app.contracts.retention_rules import RULES, newest
from app.contracts.table import Classification, TableContract
from app.errors import LakeNotFound
from app.lake import delta, runs
from app.lake.lake import Lake
from pipelines import plots, query
from pipelines.catalog import CONTRACTS, column_rows, retention_row, table_rows

SHOWN = (Classification.PUBLIC, Classification.INTERNAL)
"""The classes that samples show; the others are masked."""

Lineage = Mapping[str, Sequence[str]]
"""The path of a table, and the paths of those that it is made from."""

_Plot = tuple[str, Markup]
_OF_INGESTION = (BRONZE, SILVER, QUARANTINE, DUPLICATES, DATA_QUALITY_DAILY)  # the tables whose quality gold/data_quality_daily tells
_LONGEST = 80  # characters of a cell
_MOST_DAYS = 400  # that a plot shows: the last


@dataclass(frozen=True)
class State:
    """What a lake has of a table: ``nulls`` is the share of rows without a value, as a text, by column."""

    version: int
    rows: int
    bytes: int
    files: int
    nulls: Mapping[str, str]


@dataclass
class Page:
    """What a table's page says."""

    file: str
    about: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]]
    partition_by: Sequence[str]
    append_only: bool
    rule: Mapping[str, Any]
    made_from: Sequence[str] = ()
    goes_into: Sequence[str] = ()
    state: State | None = None
    missing: bool = False
    sample: Sequence[Sequence[str | None]] | None = None
    plots: Sequence[_Plot] = field(default_factory=list)
    quality: Sequence[_Plot] = field(default_factory=list)


def pages(
    lake: Lake | None = None, sample_rows: int = 10, lineage: Lineage | None = None, contracts: Sequence[TableContract] = CONTRACTS
) -> dict[str, str]:
    """The pages by the names of their files: one a table, ``index.html`` and ``columns.html``.

    Without a lake they say what the contracts say. Tables are shown as the last run left them.
    """
    made = [_page(contract, lineage or {}) for contract in contracts]
    of_lake, quality = "", []
    if lake is not None:
        done = runs.runs(lake)
        of_lake = str(done[-1]["run_id"]) if done else "none"
        versions = {contract.path: version for contract, version in query.versions(lake)}
        quality = _quality(lake, versions.get(DATA_QUALITY_DAILY.path))
        for contract, page in zip(contracts, made, strict=True):
            if contract.path in versions:
                _add_state(page, contract, lake, versions[contract.path], sample_rows)
            if contract in _OF_INGESTION:
                page.quality = quality
    return _rendered(made, of_lake, quality)


def _page(contract: TableContract, lineage: Lineage) -> Page:
    (about,) = table_rows([contract])
    into = [path for path, sources in lineage.items() if contract.path in sources]
    made_from = lineage.get(contract.path, ())
    rule = retention_row(newest(contract.retention or ""))
    return Page(_file(contract), about, column_rows(contract), contract.partition_by, contract.append_only, rule, made_from, into)


def _file(contract: TableContract) -> str:
    return f"{contract.name}.html"


def _add_state(page: Page, contract: TableContract, lake: Lake, version: int | None, sample_rows: int) -> None:
    try:
        table = lake.table(contract, version)
    except LakeNotFound:  # an older version of Leofric made this lake
        page.missing = True
        return
    actions = pa.table(table.get_add_actions(flatten=True))
    rows, size = delta.rows_and_bytes(table)
    page.state = State(table.version(), rows, size, actions.num_rows, _nulls(contract, actions, rows))
    page.plots = _rows_by_day(contract, actions)
    page.sample = sample(table, contract, sample_rows)


def _nulls(contract: TableContract, actions: pa.Table, rows: int) -> dict[str, str]:
    """The share of nulls of each column, from the table's log; lists and partition columns are not counted there."""
    counted = {column.name: f"null_count.{column.name}" for column in contract.columns}
    found = {name: pc.sum(actions[key]).as_py() for name, key in counted.items() if key in actions.column_names}
    return {name: f"{nulls / rows:.1%}" for name, nulls in found.items() if nulls is not None and rows}


def _rows_by_day(contract: TableContract, actions: pa.Table) -> list[_Plot]:
    """How many rows each day has, where the table is partitioned by a day, from its log."""
    types = {column.name: column.type for column in contract.columns}
    days = [name for name in contract.partition_by if pa.types.is_date(types[name])]
    if not days or not actions.num_rows:
        return []
    keys = actions[f"partition.{days[0]}"].to_pylist()
    counted: dict[date, float] = {}
    for key, count in zip(keys, actions["num_records"].to_pylist(), strict=True):
        day = key if isinstance(key, date) else date.fromisoformat(str(key))
        counted[day] = counted.get(day, 0) + count
    points = sorted(counted.items())[-_MOST_DAYS:]
    title = f"rows of {contract.path} by {days[0]}"
    return [(f"rows by {days[0]}", Markup(plots.bars(points, title)))]  # noqa: S704 (the plot escapes what it is given)


def _quality(lake: Lake, version: int | None) -> list[_Plot]:
    """A plot a dimension, from gold/data_quality_daily."""
    rows = lake.table(DATA_QUALITY_DAILY, version).to_pyarrow_table().to_pylist()
    by_dimension: dict[str, dict[date, float | None]] = {}
    for row in rows:
        by_dimension.setdefault(str(row["dimension"]), {})[row["ingest_date"]] = row["ratio"]
    found = []
    for dimension, days in sorted(by_dimension.items()):
        points = sorted(days.items())[-_MOST_DAYS:]
        last = next((value for _, value in reversed(points) if value is not None), None)
        caption = dimension if last is None else f"{dimension}: {last:.2%}"
        found.append((caption, Markup(plots.line(points, f"{dimension} by day", "{:.2%}"))))  # noqa: S704 (the plot escapes)
    return found


def sample(table: DeltaTable, contract: TableContract, rows: int) -> list[list[str | None]]:
    """Some rows of a table as texts, masked by class, in the contract's order of columns."""
    names = [column.name for column in contract.columns]
    head = delta.dataset(table, contract).head(rows, columns=names)
    shown = masked(head, contract, SHOWN)
    return [[_cell(row[name]) for name in names] for row in shown.to_pylist()]


def _cell(value: object) -> str | None:
    """A value as people read it; of a long one the beginning and the end."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = ", ".join(_cell(one) or "null" for one in value) if isinstance(value, list) else str(value)
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}…{text[-half:]}"


def _rendered(made: Iterable[Page], of_lake: str, quality: Sequence[_Plot]) -> dict[str, str]:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    listed = list(made)
    common = {"of_lake": of_lake, "files": {page.about["table"]: page.file for page in listed}}
    columns = sorted(((page, column) for page in listed for column in page.columns), key=lambda pair: str(pair[1]["column"]))
    rules = [retention_row(rule) for rule in RULES]
    table = environment.get_template("table.html")
    return {
        "index.html": environment.get_template("index.html").render(pages=listed, quality=quality, rules=rules, **common),
        "columns.html": environment.get_template("columns.html").render(columns=columns, **common),
        **{page.file: table.render(page=page, **common) for page in listed},
    }
