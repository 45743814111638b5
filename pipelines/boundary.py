"""The tables' boundaries: what is written is what the table's contract says, or the run fails.

Validation has decided about each record already. This guards against ourselves: a stage that writes a column of another type, a null,
an identifier that is not canonical. Types and nulls are held for every row as it is written; patterns and least values for the first
rows of each block, since a stage that does it wrong does it wrong from the start.

Pandera decides, and names what is wrong. It takes tens of milliseconds a block, half the time of a small run; so Arrow looks first, in
one, and pandera is asked only about a block in which Arrow finds something. Arrow is the stricter of the two: a test holds it to that.
"""

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.table import Column, TableContract
from app.errors import BoundaryViolated

LOOKED_AT = 200
"""How many rows of a block are looked at."""


def guard(contract: TableContract, rows: pa.Table) -> pa.Table:
    """The rows, unchanged; BoundaryViolated names the table, the column and the rule if they are not the contract's.

    Partition columns may be missing.
    """
    schema = pa.schema([field for field in contract.schema if field.name in rows.column_names])
    try:
        head = rows.slice(0, LOOKED_AT).select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise BoundaryViolated(f"{contract.path}: {error}; this is a fault of Leofric: nothing was published, report it") from error
    if not all(fits(column, head, contract) for column in contract.columns):
        _validate(contract, head)
    return rows


def fits(column: Column, rows: pa.Table, contract: TableContract) -> bool:
    """Whether Arrow finds nothing wrong with a column of rows that have the contract's types."""
    if column.name not in rows.column_names:
        return column.name in contract.partition_by
    values = rows[column.name]
    if values.null_count and not column.nullable:
        return False
    if column.pattern is not None and not _all(pc.match_substring_regex(values, rf"\A(?:{column.pattern})\z")):
        return False
    return column.least is None or _all(pc.greater_equal(values, column.least))


def _all(are: pa.ChunkedArray) -> bool:
    return bool(pc.all(are, min_count=0).as_py())  # nulls are held by whether there may be any


def _validate(contract: TableContract, rows: pa.Table) -> None:
    import pandas as pd
    import pandera.errors

    try:
        _schema(contract).validate(rows.to_pandas(types_mapper=pd.ArrowDtype), lazy=True)
    except pandera.errors.SchemaErrors as error:
        faults = error.failure_cases[["column", "check", "failure_case"]].drop_duplicates("column").to_dict("records")
        said = "; ".join(f"column {fault['column']} has {fault['failure_case']!r} against {fault['check']}" for fault in faults)
        raise BoundaryViolated(f"{contract.path}: {said}; this is a fault of Leofric: nothing was published, report it") from None


@cache
def _schema(contract: TableContract) -> Any:
    import pandas as pd
    import pandera.pandas as pandera

    def column(one: Column) -> Any:
        checks = [] if one.pattern is None else [pandera.Check.str_matches(f"^(?:{one.pattern})$")]
        checks += [] if one.least is None else [pandera.Check.ge(one.least)]
        return pandera.Column(pd.ArrowDtype(one.type), checks, nullable=one.nullable, required=one.name not in contract.partition_by)

    return pandera.DataFrameSchema({one.name: column(one) for one in contract.columns}, strict=True)
