"""The lineage of every column of the lake, put together from what the contracts, the pipelines and their SQL say of themselves."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import duckdb

from app import fingerprints
from app.contracts import lake, landing
from app.contracts.table import TableContract
from app.detection import alert, book
from app.features import feature_set, outcomes
from app.lineage.graph import ROWS, Edge, Graph, How, Node, Parts
from app.validation import transaction
from pipelines import gold

LANDING: Final = "landing/transactions"
FEATURES: Final = "features/payments"
MODELS: Final = "models/registry"
MODULUS: Final = "reference/modulus"
LABELS: Final = "landing/labels"

_OUTSIDE: Final[dict[str, tuple[str, ...]]] = {
    LANDING: landing.NAMES,
    FEATURES: (*feature_set.NAMES, *outcomes.NAMES),
    MODELS: ("model_id", "model", "profile"),
    MODULUS: ("version", "weights"),
    LABELS: ("transaction_id", "is_suspicious", "typology"),
}
"""What takes part and is no table of the lake: landing files, features (made when they are needed), models, Pay.UK's weights, labels."""

OF_THE_RUN: Final = frozenset(
    ("run_id", "ingested_at", "ingest_date", "scored_at", "raised_by", "raised_at", "features_version", "imported_by", "imported_at")
)
"""Columns that say which run wrote a row, and when: they are made of no data."""
OF_THE_FILE: Final = ("source_uri", "source_sha256", "record_number")
"""Columns that say which record a row came from."""

_AGGREGATES: Final = frozenset(("sum", "count", "count_star", "min", "max", "avg"))


@cache
def graph() -> Graph:
    """All of it."""
    datasets = {contract.path: tuple(column.name for column in contract.columns) for contract in lake.TABLES} | _OUTSIDE
    return Graph(datasets, tuple(sorted(set(_edges()))))


def made_from() -> dict[str, tuple[str, ...]]:
    """By dataset the datasets that it is made from or depends on, one step away: what a catalogue shows beside a table."""
    found: dict[str, list[str]] = {}
    for edge in graph().of_tables().edges:
        found.setdefault(edge.target.dataset, []).append(edge.source.dataset)
    return {name: tuple(of) for name, of in found.items()}


def _edges() -> Iterator[Edge]:
    yield from _loaded()
    yield from _figures()
    yield from _features()
    yield from _scored()
    yield from _alerts()
    yield from _of_people()
    yield from _reviewed()


def _loaded() -> Iterator[Edge]:
    """Bronze, silver, quarantine, duplicates: all are made of the landing file by one reading of it."""
    everything: Parts = {How.TRANSFORMATION: landing.NAMES}
    yield from _made_of(lake.BRONZE, LANDING, {name: {How.IDENTITY: (name,)} for name in landing.NAMES})
    yield from _made_of(lake.QUARANTINE, LANDING, {"raw_record": everything, "reasons": everything})
    typed = {column.name: transaction.MADE_OF.get(column.name, {How.IDENTITY: (column.name,)}) for column in lake.TYPED}
    checked = {name: transaction.MADE_OF[name] for name in ("account_check", "counterparty_check")}
    yield from _made_of(lake.SILVER, LANDING, typed | checked)
    for contract in (lake.QUARANTINE, lake.DUPLICATES):
        yield from _made_of(contract, LANDING, {name: typed[name] for name in ("transaction_id", "amount_minor", "currency")})
    weights: Parts = {How.CONDITIONAL: ("weights",)}
    checks: dict[str, Parts] = {"account_check": weights, "counterparty_check": weights, "modulus_table": {How.IDENTITY: ("version",)}}
    yield from _made_of(lake.SILVER, MODULUS, checks)
    for contract in (lake.BRONZE, lake.SILVER, lake.QUARANTINE, lake.DUPLICATES):
        yield from _rows(contract.path, LANDING, How.FILTER, (ROWS,))
        yield from _made_of(contract, LANDING, _alike(OF_THE_FILE, {How.IDENTITY: (ROWS,)}))
    # What is accepted hangs on every rule, and on the fingerprints by which one record is told from another: on all that silver holds.
    content = {name for column in fingerprints.COLUMNS for columns in typed[column].values() for name in columns}
    for contract in (lake.SILVER, lake.QUARANTINE, lake.DUPLICATES):
        yield from _rows(contract.path, LANDING, How.FILTER, sorted(content))
    for contract in (lake.SILVER, lake.QUARANTINE):
        yield from _rows(contract.path, MODULUS, How.FILTER, ("weights",))


def _figures() -> Iterator[Edge]:
    """Gold: what its SQL says. The figures of data quality and the certificates count what validation found, record by record."""
    for contract, sql in gold.DAILY:
        yield from _of_sql(contract, lake.SILVER.path, sql, ("booking_date",))
    counted: Parts = {How.AGGREGATION: (*landing.NAMES, ROWS)}
    yield from _made_of(lake.DATA_QUALITY_DAILY, LANDING, _alike(("numerator", "denominator", "ratio"), counted))
    totals: Parts = {How.AGGREGATION: (*transaction.MADE_OF["amount_minor"][How.TRANSFORMATION], ROWS)}
    yield from _made_of(lake.RUNS, LANDING, {"certificate": totals})
    for contract in (lake.SILVER, lake.QUARANTINE, lake.DUPLICATES, lake.SCORES):
        yield from _made_of(lake.RUNS, contract.path, {"certificate": {How.AGGREGATION: ("amount_minor", "currency", ROWS)}})
    yield from _within(lake.RUNS, {"status": {How.CONDITIONAL: ("certificate",)}, "hash": {How.TRANSFORMATION: ("certificate",)}})


def _features() -> Iterator[Edge]:
    for name, parts in (dict(feature_set.MADE_OF) | _alike(outcomes.NAMES, outcomes.OF_SILVER)).items():
        yield from _of(Node(FEATURES, name), lake.SILVER.path, parts)
    for name in outcomes.NAMES:
        yield from _of(Node(FEATURES, name), lake.FEEDBACK.path, outcomes.OF_FEEDBACK)
    yield from _rows(FEATURES, lake.SILVER.path, How.FILTER, (ROWS,))


def _scored() -> Iterator[Edge]:
    """Scores: the payment's own columns by their names, and what the models say of its features."""
    own = set(lake.SILVER.schema.names) - OF_THE_RUN
    copied = {column.name: {How.IDENTITY: (column.name,)} for column in lake.SCORES.columns if column.name in own}
    yield from _made_of(lake.SCORES, lake.SILVER.path, copied | {"loaded_by": {How.IDENTITY: ("run_id",)}})
    told: Parts = {How.TRANSFORMATION: ("amount_minor", "currency", "booked_at")}
    yield from _made_of(lake.SCORES, lake.SILVER.path, {"sentences": told})
    behaviour: Parts = {How.TRANSFORMATION: feature_set.NAMES}
    everything: Parts = {How.TRANSFORMATION: _OUTSIDE[FEATURES]}
    verdict: dict[str, Parts] = {"score": behaviour, **_alike(("suspicion", "band", "reasons", "sentences"), everything)}
    yield from _made_of(lake.SCORES, FEATURES, verdict)
    yield from _made_of(lake.SCORES, MODELS, _alike(verdict, {How.CONDITIONAL: ("model", "profile")}))
    yield from _made_of(lake.SCORES, MODELS, _alike(("model_id", "ranker_id"), {How.IDENTITY: ("model_id",)}))
    yield from _rows(lake.SCORES.path, lake.SILVER.path, How.FILTER, (ROWS,))
    day = lake.DRIFT_DAILY
    yield from _made_of(day, lake.SCORES.path, {name: {How.IDENTITY: (name,)} for name in ("booking_date", "model_id")})
    yield from _made_of(day, lake.SCORES.path, _alike(("psi", "counts"), {How.AGGREGATION: ("score", "suspicion")}))
    yield from _made_of(day, FEATURES, _alike(("psi", "counts"), behaviour))
    yield from _made_of(day, MODELS, {"psi": {How.CONDITIONAL: ("profile",)}, "counts": {How.CONDITIONAL: ("profile",)}})
    yield from _made_of(day, lake.SCORES.path, {"payments": {How.AGGREGATION: (ROWS,)}})
    yield from _rows(day.path, lake.SCORES.path, How.GROUP_BY, ("booking_date", "model_id", ROWS))


def _alerts() -> Iterator[Edge]:
    yield from _made_of(lake.ALERTS, lake.SILVER.path, alert.MADE_OF)
    yield from _rows(lake.ALERTS.path, lake.SILVER.path, How.FILTER, (*book.COLUMNS, ROWS))
    silent = ("booking_date", "sort_code", "account_number", "currency")  # when a dormant account was last heard of, before the horizon
    yield from _rows(lake.ALERTS.path, lake.ACCOUNT_DAILY.path, How.WINDOW, silent)
    of_models: dict[str, Parts] = {"score": {How.AGGREGATION: ("score",)}, "sentence": {How.AGGREGATION: ("sentences",)}}
    yield from _made_of(lake.ALERTS, lake.SCORES.path, of_models)
    yield from _rows(lake.ALERTS.path, lake.SCORES.path, How.FILTER, ("band",))
    chosen: Parts = {How.CONDITIONAL: (ROWS,)}  # which condition fired is which row there is
    names: Parts = {How.TRANSFORMATION: ("reason", "account", "fired_by", "fired_date")}
    date: Parts = {How.TRANSFORMATION: ("fired_at",)}
    yield from _within(lake.ALERTS, {"scenario": chosen, "reason": chosen, "alert_id": names, "fired_date": date})


def _of_people() -> Iterator[Edge]:
    """What analysts decided, and what the service keeps of a challenger's trial."""
    yield from _made_of(lake.FEEDBACK, LABELS, {name: {How.IDENTITY: (name,)} for name in _OUTSIDE[LABELS]})
    yield from _made_of(lake.FEEDBACK, LABELS, {"source_sha256": {How.TRANSFORMATION: (ROWS,)}})
    yield from _rows(lake.FEEDBACK.path, LABELS, How.FILTER, (ROWS, *_OUTSIDE[LABELS]))
    shadow = lake.SHADOW_SCORES
    yield from _made_of(
        shadow, LANDING, {name: transaction.MADE_OF.get(name, {How.IDENTITY: (name,)}) for name in ("transaction_id", "booked_at")}
    )
    verdicts = ("champion_score", "champion_band", "challenger_score", "challenger_band")
    yield from _made_of(shadow, FEATURES, _alike(verdicts, {How.TRANSFORMATION: _OUTSIDE[FEATURES]}))
    yield from _made_of(shadow, MODELS, _alike(verdicts, {How.CONDITIONAL: ("model", "profile")}))
    yield from _made_of(shadow, MODELS, _alike(("champion_id", "challenger_id"), {How.IDENTITY: ("model_id",)}))
    yield from _rows(shadow.path, LANDING, How.FILTER, (ROWS,))


def _reviewed() -> Iterator[Edge]:
    """What reviewers decided, the records that a replay made of it, and how much lies in quarantine."""
    kept, told = lake.CORRECTIONS, lake.QUARANTINE_DAILY
    corrected: Parts = {How.TRANSFORMATION: ("correction",)}
    yield from _made_of(kept, lake.QUARANTINE.path, {name: {How.IDENTITY: (name,)} for name in ("source_sha256", "record_number")})
    yield from _rows(kept.path, lake.QUARANTINE.path, How.FILTER, ("status", ROWS))
    yield from _within(kept, _alike(("reasons", "amount_minor", "currency"), corrected))
    yield from _made_of(kept, lake.BRONZE.path, _alike(("reasons", "amount_minor", "currency"), {How.TRANSFORMATION: landing.NAMES}))
    typed = [column.name for column in lake.TYPED]
    yield from _made_of(lake.SILVER, kept.path, _alike((*typed, "account_check", "counterparty_check"), corrected))
    yield from _made_of(lake.DUPLICATES, kept.path, _alike(("transaction_id", "amount_minor", "currency"), corrected))
    for contract in (lake.SILVER, lake.DUPLICATES):
        yield from _rows(contract.path, kept.path, How.FILTER, ("act", "correction", ROWS))
    figures: dict[str, Parts] = {
        "reason": {How.IDENTITY: ("reasons",)},
        "currency": {How.IDENTITY: ("currency",)},
        "age": {How.TRANSFORMATION: ("ingested_at",)},
        "records": {How.AGGREGATION: (ROWS,)},
        "amount_minor": {How.AGGREGATION: ("amount_minor",)},
    }
    yield from _made_of(told, lake.QUARANTINE.path, figures)
    yield from _made_of(told, kept.path, {"state": {How.TRANSFORMATION: ("act",)}})
    yield from _rows(told.path, lake.QUARANTINE.path, How.GROUP_BY, ("reasons", "currency", "ingested_at", ROWS))
    yield from _rows(told.path, kept.path, How.GROUP_BY, ("act", ROWS))


def _alike(names: Iterable[str], parts: Parts) -> dict[str, Parts]:
    """Columns that are made of the same."""
    return {name: dict(parts) for name in names}


def _made_of(contract: TableContract, source: str, columns: Mapping[str, Parts]) -> Iterator[Edge]:
    for name, parts in columns.items():
        contract.schema.field(name)  # a name that the table does not have would be a lie
        yield from _of(Node(contract.path, name), source, parts)


def _within(contract: TableContract, columns: Mapping[str, Parts]) -> Iterator[Edge]:
    return _made_of(contract, contract.path, columns)


def _of(target: Node, source: str, parts: Parts) -> Iterator[Edge]:
    for how, columns in parts.items():
        for column in columns:
            yield Edge(Node(source, column), target, how)


def _rows(dataset: str, source: str, how: How, columns: Iterable[str]) -> Iterator[Edge]:
    yield from _of(Node(dataset, ROWS), source, {how: tuple(columns)})


def _of_sql(contract: TableContract, source: str, sql: str, partition: tuple[str, ...]) -> Iterator[Edge]:
    """The edges of a table that is one select statement over ``source``, made anew for each value of its partition columns."""
    columns = of_select(sql)
    keys = {name for name, found in columns.items() if How.AGGREGATION not in {how for how, _ in found}}
    grouped = sorted({column for name in keys for _, column in columns[name]} | set(partition))
    for name in partition:
        yield from _made_of(contract, source, {name: {How.IDENTITY: (name,)}})
    for name, found in columns.items():
        for how, column in found:
            yield from _made_of(contract, source, {name: {how: (column,)}})
        if name not in keys:
            yield from _made_of(contract, source, {name: {How.GROUP_BY: tuple(grouped)}})
    yield from _rows(contract.path, source, How.GROUP_BY, (*grouped, ROWS))


def of_select(sql: str) -> dict[str, set[tuple[How, str]]]:
    """By the name of each column of a select statement, the columns that it reads and in what way: as DuckDB itself parses it."""
    (parsed,) = duckdb.execute("select json_serialize_sql(?)", [sql]).fetchall()[0]
    (statement,) = json.loads(parsed)["statements"]
    found: dict[str, set[tuple[How, str]]] = {}
    for expression in statement["node"]["select_list"]:
        name = expression["alias"] or expression["column_names"][-1]
        found[name] = set(_read(expression, How.IDENTITY))
    return found


def _read(expression: Any, how: How) -> Iterator[tuple[How, str]]:
    """What an expression, or a list of some, reads; ``how`` is what was met on the way to it."""
    if isinstance(expression, list):
        for one in expression:
            yield from _read(one, how)
    if not isinstance(expression, dict):
        return
    if expression.get("class") == "COLUMN_REF":
        yield how, expression["column_names"][-1]
        return
    inner = how
    if expression.get("class") == "FUNCTION" and expression["function_name"] in _AGGREGATES:
        inner = How.AGGREGATION
        yield How.AGGREGATION, ROWS
    elif "class" in expression and how is How.IDENTITY:
        inner = How.TRANSFORMATION
    for key, value in expression.items():
        yield from _read(value, How.CONDITIONAL if key in ("filter", "when_expr") else inner)
