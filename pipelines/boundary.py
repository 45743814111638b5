"""The tables' boundaries: what is written is what the table's contract says, or the run fails.

Validation has decided about each record already. This guards against ourselves: a stage that writes a column of another type, a null,
an identifier that is not canonical. Types and nulls are held for every row as it is written; patterns and least values by pandera, for
the first rows of each block, since a stage that does it wrong does it wrong from the start.
"""

from functools import cache
from typing import Any

import pyarrow as pa

from app.contracts.table import Column, TableContract
from app.errors import BoundaryViolated

LOOKED_AT = 200
"""How many rows of a block are looked at."""


def guard(contract: TableContract, rows: pa.Table) -> pa.Table:
    """The rows, unchanged; BoundaryViolated names the table, the column and the rule if they are not the contract's.

    Partition columns may be missing.
    """
    import pandas as pd
    import pandera.errors

    schema = pa.schema([field for field in contract.schema if field.name in rows.column_names])
    head = rows.slice(0, LOOKED_AT).select(schema.names)
    try:
        frame = head.cast(schema).to_pandas(types_mapper=pd.ArrowDtype)
        _schema(contract).validate(frame, lazy=True)
    except (pa.ArrowException, ValueError) as error:
        raise BoundaryViolated(f"{contract.path}: {error}; this is a fault of Leofric: nothing was published, report it") from error
    except pandera.errors.SchemaErrors as error:
        faults = error.failure_cases[["column", "check", "failure_case"]].drop_duplicates("column").to_dict("records")
        said = "; ".join(f"column {fault['column']} has {fault['failure_case']!r} against {fault['check']}" for fault in faults)
        raise BoundaryViolated(f"{contract.path}: {said}; this is a fault of Leofric: nothing was published, report it") from None
    return rows


@cache
def _schema(contract: TableContract) -> Any:
    import pandas as pd
    import pandera.pandas as pandera

    def column(one: Column) -> Any:
        checks = [] if one.pattern is None else [pandera.Check.str_matches(f"^(?:{one.pattern})$")]
        checks += [] if one.least is None else [pandera.Check.ge(one.least)]
        return pandera.Column(pd.ArrowDtype(one.type), checks, nullable=one.nullable, required=one.name not in contract.partition_by)

    return pandera.DataFrameSchema({one.name: column(one) for one in contract.columns}, strict=True)
