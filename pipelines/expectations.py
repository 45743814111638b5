"""Contracts as suites of Great Expectations (GX Core 1), one a table, as JSON.

Columns and their order, types, nulls, patterns and least values: what ``pipelines.boundary`` holds blocks to, for who uses that tool on
what Leofric leaves. The suite is for GX' pandas engine on frames whose columns are Arrow's (``types_mapper=pandas.ArrowDtype``).
"""

import json
from typing import Any

import pyarrow as pa

from app.contracts.table import Column, TableContract

Json = dict[str, Any]

# GX names the type of an Arrow-backed column by the Python type of its values.
_TYPES = (
    (pa.types.is_boolean, "bool"),
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "float"),
    (pa.types.is_string, "str"),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_list, "list"),
)


def suite(contract: TableContract) -> Json:
    """A table's suite."""
    expectations = [_expectation("expect_table_columns_to_match_ordered_list", column_list=[column.name for column in contract.columns])]
    for column in contract.columns:
        expectations += _of_column(column)
    meta = {"table": contract.path, "meaning": contract.meaning, "owner": str(contract.owner)}
    return {"name": contract.name, "expectations": expectations, "meta": meta}


def text(contract: TableContract) -> str:
    """The suite as JSON."""
    return json.dumps(suite(contract), indent=2, ensure_ascii=False) + "\n"


def _of_column(column: Column) -> list[Json]:
    meta = {"notes": column.meaning, "classification": str(column.classification)}
    (named,) = [name for is_type, name in _TYPES if is_type(column.type)]
    found = [_expectation("expect_column_values_to_be_of_type", meta, column=column.name, type_=named)]
    if not column.nullable:
        found.append(_expectation("expect_column_values_to_not_be_null", meta, column=column.name))
    if column.pattern is not None:
        found.append(_expectation("expect_column_values_to_match_regex", meta, column=column.name, regex=f"^(?:{column.pattern})$"))
    if column.least is not None:
        found.append(_expectation("expect_column_values_to_be_between", meta, column=column.name, min_value=column.least))
    return found


def _expectation(of: str, meta: Json | None = None, **kwargs: object) -> Json:
    return {"type": of, "kwargs": kwargs, "meta": meta or {}}
