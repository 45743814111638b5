"""Is the lineage true? Each column is changed, alone, in what the pipelines' own functions are given; what then comes out otherwise is
what is made of it or depends on it: no column more, and no column less, than the graph says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from app.contracts import lake
from app.contracts.landing import NAMES, SCHEMA
from app.contracts.table import TableContract
from app.detection import pack
from app.detection.book import COLUMNS, book
from app.features import feature_set, outcomes
from app.features.payments import payments
from app.features.vector import vectors
from app.fingerprints import COLUMNS as FINGERPRINTED
from app.fingerprints import fingerprints
from app.lineage.graph import ROWS, Node
from app.reference.modulus import synthetic
from app.validation import modulus, transaction
from models import isolation_forest, supervised
from models.isolation_forest import ForestSettings
from models.supervised import RankerSettings
from pipelines import gold, lineage
from pipelines.lineage import FEATURES, LANDING
from tests.support.landing import record
from tests.support.payments import DAY, HOUR, Payment, silver

Lineage = dict[str, set[str]]
"""By column, the columns that it is made of or depends on."""

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def declared(target: str, source: str) -> Lineage:
    """What the graph says, without what hangs only on which rows there are."""
    found: Lineage = {}
    for edge in lineage.graph().into(target):
        if edge.source.dataset == source and edge.source.column != ROWS and edge.target.column != ROWS:
            found.setdefault(edge.target.column, set()).add(edge.source.column)
    return found


def of_rows(target: str, source: str) -> set[str]:
    """The columns that, by the graph, decide which rows there are."""
    return {
        edge.source.column for edge in lineage.graph().into(target) if edge.target == Node(target, ROWS) and edge.source.dataset == source
    } - {ROWS}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {name for name, value in before.items() if after[name] != value}


# ---- landing to silver

IBAN = "GB29NWBK60161331926819"
BASES = [
    record(1, amount="-12"),
    record(2, amount="12"),
    record(3, counterparty_sort_code="", counterparty_account="", counterparty_iban=IBAN, channel="SEPA"),
    record(4, counterparty_sort_code="", counterparty_account="", counterparty_iban="DE89370400440532013000", country="DE"),
    record(5, sort_code="200915", account_number="41011166", counterparty_sort_code="200915", counterparty_account="41011166"),
    record(6, sort_code="200915", account_number="12346860", counterparty_sort_code="200915", counterparty_account="12346860"),
    record(7, counterparty_sort_code="", counterparty_account="", counterparty_iban="GB06NWBK20091512346860"),
]
OTHERS: dict[str, list[str]] = {
    "transaction_id": ["other"],
    "timestamp": ["2026-03-09T09:00:00Z", "2026-03-09T09:00:00+01:00", "1999-01-01T00:00:00Z"],
    "sort_code": ["990003", "99-00-04", "200916", "938611"],
    "account_number": ["10000099", "41011166"],
    "counterparty_sort_code": ["", "990003", "200916"],
    "counterparty_account": ["", "10000099", "41011166"],
    "counterparty_iban": ["", IBAN, "GB82WEST12345698765432", "FR1420041010050500013M02606"],
    "amount": ["-99.00", "99.00", "7"],
    "currency": ["EUR", "JPY", "USD", "DEM"],
    "channel": ["", "CHAPS", "CARD"],
    "country": ["FR", "US"],
    "description": ["", "other", "x" * 40],
    "merchant_category": ["5411", "0001", "x"],
}


def judged(rows: Iterable[Mapping[str, str]]) -> tuple[list[dict[str, Any]], list[bool]]:
    """Validation's own answer: typed rows with their checks, and which are accepted."""
    validated = transaction.validate(pa.Table.from_pylist([dict(row) for row in rows], SCHEMA), weights=synthetic())
    typed = validated.typed.to_pylist()
    for name, results in (("account_check", validated.account_checks), ("counterparty_check", validated.counterparty_checks)):
        for row, result in zip(typed, results.tolist(), strict=True):
            row[name] = modulus.RESULTS[result]
    return typed, (~validated.rejected).tolist()


def test_silver_is_made_of_the_landing_columns_that_its_lineage_names() -> None:
    observed: Lineage = {}
    variants = [(base, column, value) for base in range(len(BASES)) for column, values in OTHERS.items() for value in values]
    before, accepted = judged(BASES)
    assert all(accepted)
    after, still = judged([BASES[base] | {column: value} for base, column, value in variants])
    for (base, column, _), row, kept in zip(variants, after, still, strict=True):
        for name in differing(before[base], row) if kept else ():
            observed.setdefault(name, set()).add(column)
    assert observed == declared(lake.SILVER.path, LANDING)


def test_which_records_silver_takes_depends_on_the_landing_columns_that_its_lineage_names() -> None:
    """By a rule that rejects, or since an id that is there already makes a record a duplicate or, by its content, a conflict."""
    wrong = dict.fromkeys(NAMES, "\x00") | {"counterparty_iban": "x", "channel": "PIGEON"}
    _, accepted = judged([BASES[0] | {name: value} for name, value in wrong.items()])
    observed = {name for name, kept in zip(wrong, accepted, strict=True) if not kept}
    for name, values in OTHERS.items():
        for base in BASES:
            rows, kept = judged([base, *(base | {name: value} for value in values)])
            prints = fingerprints(pa.Table.from_pylist(rows, lake.TYPED_SCHEMA).select(list(FINGERPRINTED)), bytes(16))
            same = (prints.id_high == prints.id_high[0]) & (prints.content == prints.content[0])
            observed |= {name} if any(ok and not alike for ok, alike in zip(kept, same.tolist(), strict=True)) else set()
    assert observed == of_rows(lake.SILVER.path, LANDING) == set(NAMES)


# ---- silver to gold


def accepted_payments(seed: int, rows: int) -> pa.Table:
    """Rows of silver, all columns, of few accounts, channels and days."""
    rng = np.random.default_rng(seed)
    table = []
    for number in range(rows):
        own, other = (f"99000{n}-1000000{n}" for n in rng.integers(0, 3, 2))
        amount = int(rng.integers(-500, 500))
        typed, _ = judged([record(number)])
        day = int(rng.integers(0, 2))
        chosen = {"amount_minor": amount, "sort_code": own[:6], "account_number": own[7:], "channel": ["FPS", "BACS"][int(rng.integers(2))]}
        parties = {"payer": own, "payee": other} if amount < 0 else {"payer": other, "payee": own}
        source = {"source_uri": "file:///a", "source_sha256": "0" * 64, "record_number": number + 1, "run_id": "r", "ingested_at": NOON}
        at = {"booked_at": NOON + timedelta(days=day, minutes=number), "booking_date": NOON.date() + timedelta(days=day)}
        table.append(typed[0] | {"modulus_table": "t"} | chosen | parties | source | at)
    return pa.Table.from_pylist(table, lake.SILVER.schema)


def changed(row: Mapping[str, Any], name: str) -> Iterator[Any]:
    """Other values of a column."""
    value = row[name]
    if name == "amount_minor":
        yield from (-value, value + 1000 if value >= 0 else value - 1000)
    elif name == "booking_date":
        yield value + timedelta(days=1)
        yield NOON.date()
    elif isinstance(value, datetime):
        yield value + timedelta(hours=1)
    elif isinstance(value, int):
        yield value + 1
    else:
        yield from {"currency": ("EUR",), "channel": ("CHAPS", None), "sort_code": ("990009",)}.get(name, ("changed",))


def figures(connection: duckdb.DuckDBPyConnection, rows: pa.Table, contract: TableContract) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows of a daily table by their keys, made by gold's own SQL a day at a time."""
    sql = {one.path: sql for one, sql in gold.DAILY}[contract.path]
    found = {}
    for day in sorted(set(rows["booking_date"].to_pylist())):
        connection.register("silver", rows.filter(pc.equal(rows["booking_date"], day)))
        for row in connection.sql(sql).to_arrow_table().to_pylist():
            row["booking_date"] = day
            found[tuple(row[name] for name in KEYS[contract.path])] = row
    return found


KEYS = {
    lake.ACCOUNT_DAILY.path: ("booking_date", "sort_code", "account_number", "currency"),
    lake.CHANNEL_DAILY.path: ("booking_date", "channel", "currency"),
}


@pytest.mark.parametrize("contract", [contract for contract, _ in gold.DAILY], ids=lambda contract: contract.name)
def test_gold_is_made_of_the_silver_columns_that_its_sql_names(contract: TableContract) -> None:
    rows, connection = accepted_payments(1, 14), duckdb.connect(config={"threads": 1})
    plain = rows.to_pylist()
    before, keys = figures(connection, rows, contract), KEYS[contract.path]
    observed: Lineage = {}
    observed_rows: set[str] = set()
    for at, name in product(range(len(plain)), lake.SILVER.schema.names):
        for value in changed(plain[at], name):
            after = figures(
                connection, pa.Table.from_pylist([*plain[:at], plain[at] | {name: value}, *plain[at + 1 :]], lake.SILVER.schema), contract
            )
            differ = set().union(*(differing(before[key], after[key]) for key in before.keys() & after.keys()))
            differ |= {column for place, column in enumerate(keys) if {key[place] for key in before} != {key[place] for key in after}}
            observed_rows |= {name} if before.keys() != after.keys() else set()
            for column in differ:
                observed.setdefault(column, set()).add(name)
    assert observed == declared(contract.path, lake.SILVER.path)
    assert observed_rows == of_rows(contract.path, lake.SILVER.path)


# ---- silver to features


def stream(seed: int) -> list[Payment]:
    """Few accounts, few instants, often both legs of a transfer: so that order, pairs and windows all matter."""
    rng = np.random.default_rng(seed)
    # Two first payments of one instant: which of them is new to the other party is a matter of their ids.
    found = [Payment(f"F{one}", 0, -one, "GBP", "A", "B") for one in (1, 2)]
    for number in range(40):
        at = int(rng.integers(0, 12)) * HOUR + int(rng.choice([0, 0, 5, 20, 29, 31, 60, 190])) * DAY
        payer, payee = rng.choice(["A", "B", "C"], 2, replace=False).tolist()
        amount = int(rng.choice([100, 100, 250])) * int(rng.choice([-1, 1]))
        found.append(
            Payment(f"T{rng.permutation(40)[0]:02d}{number:02d}", at, amount, str(rng.choice(["GBP", "GBP", "EUR"])), payer, payee)
        )
    return found


PAYMENT_CHANGES: dict[str, Callable[[Payment], Iterable[Payment]]] = {
    "transaction_id": lambda p: [replace(p, transaction_id="A"), replace(p, transaction_id="Z")],
    "booked_at": lambda p: [replace(p, booked_at=p.booked_at + DAY), replace(p, booked_at=p.booked_at + 2 * HOUR)],
    "amount_minor": lambda p: [replace(p, amount_minor=-p.amount_minor), replace(p, amount_minor=p.amount_minor * 7)],
    "currency": lambda p: [replace(p, currency="USD"), replace(p, currency="EUR")],
    "payer": lambda p: [replace(p, payer="D"), replace(p, payer=None), replace(p, payer="A")],
    "payee": lambda p: [replace(p, payee="D"), replace(p, payee=None), replace(p, payee="A")],
    "country": lambda p: [p],
}


def told(stream: list[Payment], labels: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """Features and outcome features of each payment, in the order of the stream; labels are by id."""
    ordered, rows = payments(silver(stream))
    found = np.array([labels.get(stream[row].transaction_id, outcomes.UNLABELLED) for row in rows.tolist()], dtype=np.int8)
    numbers = np.hstack([vectors(ordered), outcomes.outcomes(ordered, found)])
    back = np.empty_like(numbers)
    back[rows] = numbers
    return back


NUMBERS = (*feature_set.NAMES, *outcomes.NAMES)


def test_features_are_made_of_the_silver_columns_that_their_lineage_names() -> None:
    observed: Lineage = {}
    by_label: set[str] = set()
    for seed in range(5):
        before_stream = stream(seed)
        labels = {p.transaction_id: number % 2 for number, p in enumerate(before_stream)}
        before = told(before_stream, labels)
        for at, (name, change) in product(range(len(before_stream)), PAYMENT_CHANGES.items()):
            for other in change(before_stream[at]):
                after = told([*before_stream[:at], other, *before_stream[at + 1 :]], labels)
                for place in np.flatnonzero((before != after).any(axis=0)).tolist():
                    observed.setdefault(NUMBERS[place], set()).add(name)
        flipped = told(before_stream, {one: 1 - label for one, label in labels.items()})
        by_label |= {NUMBERS[place] for place in np.flatnonzero((before != flipped).any(axis=0)).tolist()}
    assert observed == declared(FEATURES, lake.SILVER.path)
    assert by_label == set(declared(FEATURES, lake.FEEDBACK.path)) == set(outcomes.NAMES)


# ---- features to scores, and silver to alerts


def test_scores_are_made_of_the_features_that_their_lineage_names() -> None:
    rng = np.random.default_rng(1)
    both = rng.gamma(1.0, 3.0, (3_000, len(NUMBERS)))
    many = feature_set.COUNT
    forest = isolation_forest.fit(both[:, :many], 1, ForestSettings(trees=60, samples=256, rough_trees=10, rough_samples=64))
    far = ((both > np.median(both, axis=0)).sum(axis=1) > len(NUMBERS) / 2).astype(np.int8)
    ranker = supervised.fit(both, far, 1, RankerSettings(rounds=80, rows_in_leaf=5))
    observed: Lineage = {"score": set(), "suspicion": set()}
    for place, name in enumerate(NUMBERS):
        other = both.copy()
        other[:, place] = rng.permutation(other[:, place])
        if (forest.scores(both[:, :many]) != forest.scores(other[:, :many])).any():
            observed["score"].add(name)
        if (ranker.scores(both) != ranker.scores(other)).any():
            observed["suspicion"].add(name)
    assert observed == {name: declared(lake.SCORES.path, FEATURES)[name] for name in observed}


def suspicious() -> pa.Table:
    """An account that pays ten thousand pounds, nearly, to a country that is on a list, again and again, and others that pay it."""
    own = [
        Payment(f"T{n:03d}", 20_500 * DAY + n * 60_000_000, -950_000 - n, "GBP", "990001-10000000", f"990002-{n:08d}") for n in range(30)
    ]
    came = [Payment(f"S{n:03d}", 20_499 * DAY + n * 60_000_000, 990_000, "GBP", f"990003-{n:08d}", "990001-10000000") for n in range(30)]
    small = [Payment(f"V{n:03d}", 20_400 * DAY + n * 1_000_000, -100, "GBP", "990001-20000000", "990002-00000001") for n in range(30)]
    table = silver([*own, *came, *small])
    return table.set_column(table.schema.get_field_index("country"), "country", pa.array(["IR"] * table.num_rows))


def raised(rows: pa.Table) -> list[dict[str, Any]]:
    found = pack.find_all(book(rows), date(2026, 3, 1))
    return [vars(one) | {"scenario": name} for name, of in found.items() for one in of]


def with_column(rows: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


# Other values that keep the shape of what happened: the same alerts fire, and say otherwise what the column says.
KEEPING: dict[str, Callable[[Any], Any]] = {
    "transaction_id": lambda one: f"Z{one}",
    "payer": lambda one: one.replace("99000", "99001"),
    "payee": lambda one: one.replace("99000", "99001"),
    "booked_at": lambda one: one + timedelta(hours=1),
    "amount_minor": lambda one: one - 1 if one < 0 else one + 1,
    "country": {"IR": "KP"}.get,
    "currency": {"GBP": "EUR"}.get,
}


def test_alerts_are_made_of_the_silver_columns_that_their_lineage_names() -> None:
    rows = suspicious()
    before = raised(rows)
    assert {"velocity", "fan_in", "fan_out", "high_risk_country"} <= {one["scenario"] for one in before}
    observed: Lineage = {}
    for name, keeping in KEEPING.items():
        names = ["payer", "payee"] if name in ("payer", "payee") else [name]
        other = rows
        for one in names:
            other = with_column(other, one, [keeping(value) for value in rows[one].to_pylist()])
        by_reason = {one["reason"]: one for one in raised(other)}
        for alert in before:
            for column in differing(alert, by_reason.get(alert["reason"], alert)):
                observed.setdefault(column, set()).update(names)
    assert observed == declared(lake.ALERTS.path, lake.SILVER.path)


def test_whether_alerts_fire_depends_on_the_silver_columns_that_their_lineage_names() -> None:
    rows = suspicious()
    fired = [(one["reason"], one["fired_by"].lstrip("Z")) for one in raised(rows)]
    assert {one["reason"] for one in raised(rows)} > {"high_risk_country_new"}
    shuffled = np.random.default_rng(1).permutation(rows.num_rows)
    observed = set()
    for name in rows.schema.names:
        values = rows[name].take(pa.array(shuffled)).to_pylist()
        other = [
            None if name in ("payer", "payee") else "FR" if name == "country" else "EUR" if name == "currency" else value
            for value in values
        ]
        if [(one["reason"], one["fired_by"].lstrip("Z")) for one in raised(with_column(rows, name, other))] != fired:
            observed.add(name)
    assert observed == of_rows(lake.ALERTS.path, lake.SILVER.path) == set(COLUMNS)
