"""The tables' boundaries: rows that a contract does not allow are a fault, and the run fails."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from app.contracts.lake import AUDIT, CHANNEL_DAILY, SILVER, TABLES
from app.contracts.table import Column, TableContract
from app.errors import BoundaryViolated
from pipelines import boundary, gold, silver
from tests.support.lake import load, opened
from tests.support.landing import records, write_csv

GOOD = {"channel": "FPS", "currency": "GBP", "transactions": 2, "value_minor": 5, "net_minor": -5, "average_minor": 2.5}


def rows(**changes: object) -> pa.Table:
    row = GOOD | changes
    return pa.table({name: [row[name]] for name in row})


def test_rows_that_fit_pass_unchanged() -> None:
    table = rows(channel=None)
    assert boundary.guard(CHANNEL_DAILY, table) is table


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"currency": "gbp"}, "column currency has 'gbp'"), ({"currency": None}, "currency"),
        ({"transactions": 0}, "column transactions has 0"), ({"value_minor": -1}, "column value_minor"),
        ({"transactions": "two"}, "two"), ({"net_minor": 1.5}, "1.5"),
    ],
)  # fmt: skip
def test_what_a_contract_does_not_allow_is_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BoundaryViolated, match=said):
        boundary.guard(CHANNEL_DAILY, rows(**changes))


def test_a_missing_and_an_unknown_column_are_named() -> None:
    with pytest.raises(BoundaryViolated, match="value_minor"):
        boundary.guard(CHANNEL_DAILY, rows().drop_columns("value_minor"))


HELD = [(contract, column) for contract in TABLES for column in contract.columns if column.pattern is not None or column.least is not None]


def near(contract: TableContract, column: Column) -> list[object]:
    """A good value of a column, and some that are nearly good."""
    if column.pattern is None:
        assert column.least is not None
        return [column.least, column.least - 1, -(2**31), 2**31 - 1, None]
    good = str(contract.example_of(column))
    foreign = good.translate(str.maketrans("0123456789abK", "٠١٢٣٤٥٦٧٨٩аЬ\u212a"))  # digits and letters of other scripts
    return [good, f"{good}\n", f"\n{good}", f"{good}\n{good}", f" {good}", f"{good}0", good[:-1], good.swapcase(), foreign, "", None]


@pytest.mark.parametrize(("contract", "column"), HELD, ids=lambda held: held.name)
def test_whatever_pandera_refuses_arrow_finds_and_good_values_pass(contract: TableContract, column: Column) -> None:
    schema = boundary._schema(contract).select_columns([column.name])
    good, *others = [pa.table({column.name: pa.array([value], column.type)}) for value in near(contract, column)]
    assert boundary.fits(column, good, contract)
    schema.validate(good.to_pandas(types_mapper=pd.ArrowDtype))
    found = [boundary.fits(column, table, contract) for table in others]
    assert not all(found)
    for table, fits in zip(others, found, strict=True):
        if fits:
            schema.validate(table.to_pandas(types_mapper=pd.ArrowDtype))


def test_a_stage_that_writes_what_it_must_not_fails_the_run_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 9))
    monkeypatch.setattr(
        gold, "DAILY", ((CHANNEL_DAILY, gold.CHANNEL_DAILY_SQL.replace("channel, currency,", "channel, lower(currency) as currency,")),)
    )
    with pytest.raises(BoundaryViolated, match="gold/channel_daily: column currency has 'gbp'"):
        load(tmp_path / "landing", tmp_path / "lake")
    assert all(opened(tmp_path / "lake").table(contract).version() == 0 for contract in TABLES if contract is not AUDIT)
    assert {path.parent for path in (tmp_path / "lake").rglob("part-*.parquet")} == {tmp_path / "lake" / AUDIT.path}


def test_silver_takes_no_identifier_that_is_not_canonical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(contract: object, table: pa.Table) -> pa.Table:
        if contract is not SILVER:
            return boundary.guard(contract, table)  # type: ignore[arg-type]  # whatever it is, it is passed on
        index = table.schema.get_field_index("sort_code")
        return boundary.guard(SILVER, table.set_column(index, "sort_code", pa.array(["99-00-01"] * table.num_rows)))

    write_csv(tmp_path / "landing/a.csv", records(1, 9))
    monkeypatch.setattr(silver, "guard", spoil)
    with pytest.raises(BoundaryViolated, match="silver/transactions: column sort_code has '99-00-01'"):
        load(tmp_path / "landing", tmp_path / "lake")
