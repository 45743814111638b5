"""Every column of every table says all that its contract must say, and its example is a value that it may hold."""

import re
from datetime import date, datetime

import pyarrow as pa
import pytest

from app.contracts import landing
from app.contracts.examples import EXAMPLES
from app.contracts.lake import TABLES
from app.contracts.retention_rules import NAMES
from app.contracts.table import Classification, Column, Owner, TableContract

ALL = (landing.TABLE, *TABLES)
COLUMNS = [pytest.param(contract, column, id=f"{contract.path}.{column.name}") for contract in ALL for column in contract.columns]
MONEY = "minor units of currency"


def fits(column: Column, example: object) -> bool:
    """Whether the example is of the column's type, and keeps the column's pattern and least value."""
    value = pa.scalar(list(example) if isinstance(example, tuple) else example, column.type)
    texts = [example] if isinstance(example, str) else []
    return (
        value.is_valid
        and value.as_py() == (list(example) if isinstance(example, tuple) else example)
        and (column.pattern is None or all(re.fullmatch(column.pattern, text) for text in texts))
        and (column.least is None or (isinstance(example, int | float) and example >= column.least))
    )


@pytest.mark.parametrize(("contract", "column"), COLUMNS)
def test_a_column_has_meaning_class_owner_retention_and_example(contract: TableContract, column: Column) -> None:
    assert column.meaning.strip(), f"{contract.path}.{column.name} needs a meaning"
    assert isinstance(column.classification, Classification)
    assert isinstance(contract.owner_of(column), Owner), f"{contract.path} needs an owner"
    assert contract.retention_of(column) in NAMES, f"{contract.path} needs the name of a retention rule: {', '.join(NAMES)}"
    assert contract.example_of(column) is not None, f"{column.name} needs an example, in app/contracts/examples.py"


@pytest.mark.parametrize(("contract", "column"), COLUMNS)
def test_an_example_is_a_value_that_the_column_may_hold(contract: TableContract, column: Column) -> None:
    assert fits(column, contract.example_of(column)), f"the example of {contract.path}.{column.name} breaks the column's own rules"


@pytest.mark.parametrize(("contract", "column"), COLUMNS)
def test_a_column_has_a_unit_and_money_its_own(contract: TableContract, column: Column) -> None:
    assert contract.unit_of(column), f"{contract.path}.{column.name} is a number and needs a unit"
    if column.name.endswith("_minor"):
        assert column.unit == MONEY, f"{contract.path}.{column.name} is money"
    if column.unit:
        assert not pa.types.is_string(column.type), f"{contract.path}.{column.name} is text: a text has no unit"


def test_an_example_that_breaks_the_columns_rules_is_noticed() -> None:
    text = Column("sort_code", pa.string(), "a sort code", Classification.INTERNAL, pattern="[0-9]{6}")
    number = Column("debits", pa.int64(), "how many", Classification.INTERNAL, least=1)
    assert fits(text, "070246")
    assert not fits(text, "07-02-46")
    assert not fits(number, 0)
    with pytest.raises(pa.ArrowTypeError):
        fits(text, 7)


def test_there_is_no_example_for_a_column_that_no_table_has() -> None:
    assert set(EXAMPLES) <= {column.name for contract in ALL for column in contract.columns}


def test_a_tables_names_are_its_own() -> None:
    for contract in ALL:
        assert len({column.name for column in contract.columns}) == len(contract.columns), contract.path
    assert len({contract.name for contract in ALL}) == len(ALL)


def test_a_column_may_differ_from_its_table() -> None:
    own = Column("a", pa.string(), "a", Classification.INTERNAL, owner=Owner.MODEL_RISK, retention="business_records", example="of its own")
    plain = Column("currency", pa.string(), "b", Classification.INTERNAL)
    contract = TableContract("gold/a", "a", (own, plain), owner=Owner.PAYMENTS, retention="audit_records")
    assert (contract.owner_of(own), contract.retention_of(own), contract.example_of(own)) == (
        Owner.MODEL_RISK,
        "business_records",
        "of its own",
    )
    assert (contract.owner_of(plain), contract.retention_of(plain)) == (Owner.PAYMENTS, "audit_records")
    assert contract.example_of(plain) == EXAMPLES["currency"]


def test_examples_of_days_are_days_and_of_instants_have_a_zone() -> None:
    for example in EXAMPLES.values():
        assert not isinstance(example, datetime) or example.utcoffset() is not None
        assert isinstance(example, datetime) or not isinstance(example, date) or example.year == 2026
