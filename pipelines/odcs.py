"""Contracts in the Open Data Contract Standard, version 3.0.2: one document a table, as YAML."""

from typing import Any, Final

import pyarrow as pa
import yaml

from app.contracts.examples import Example
from app.contracts.retention_rules import newest
from app.contracts.table import Column, TableContract
from pipelines.catalog import written

STANDARD: Final = "v3.0.2"

Json = dict[str, Any]

_INSTANT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSX"  # the standard has no type for instants: they are dates of this form
_FORMATS = ((pa.types.is_int64, "i64"), (pa.types.is_int32, "i32"), (pa.types.is_float64, "f64"), (pa.types.is_float32, "f32"))


def document(contract: TableContract, version: str) -> Json:
    """A table's contract as the standard says it; ``version`` is Leofric's."""
    retention = contract.retention or ""
    return {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": f"leofric.{contract.name}",
        "name": contract.name,
        "version": version,
        "status": "active",
        "description": {"purpose": contract.meaning},
        "team": [{"username": str(contract.owner), "role": "owner"}],
        "slaProperties": [{"property": "retention", "value": newest(retention).years, "unit": "y", "driver": "regulatory"}],
        "customProperties": [*_retention(retention), {"property": "appendOnly", "value": contract.append_only}],
        "schema": [
            {
                "name": contract.name,
                "physicalName": contract.path,
                "physicalType": "table",
                "logicalType": "object",
                "description": contract.meaning,
                "properties": [_property(contract, column) for column in contract.columns],
            }
        ],
    }


def text(contract: TableContract, version: str) -> str:
    """The document as YAML."""
    return str(yaml.safe_dump(document(contract, version), sort_keys=False, allow_unicode=True, width=120))


def _retention(name: str) -> list[Json]:
    rule = newest(name)
    said = {
        "retentionRule": rule.name,
        "retentionFrom": str(rule.clock),
        "retentionThen": str(rule.ending),
        "retentionLaw": f"{rule.law}, {rule.article}",
    }
    return [{"property": key, "value": value} for key, value in said.items()]


def _property(contract: TableContract, column: Column) -> Json:
    """A column. What the standard has no word for (unit, owner, retention) is a custom property."""
    found: Json = {
        "name": column.name,
        "description": column.meaning,
        **_type(column.type, column),
        "physicalType": str(column.type),
        "required": not column.nullable,
        "classification": str(column.classification),
        "examples": [_plain(contract.example_of(column))],
    }
    if column.name in contract.partition_by:
        found |= {"partitioned": True, "partitionKeyPosition": contract.partition_by.index(column.name) + 1}
    custom = {"unit": contract.unit_of(column), "owner": str(contract.owner_of(column)), "retentionRule": contract.retention_of(column)}
    return found | {"customProperties": [{"property": key, "value": value} for key, value in custom.items()]}


def _type(of: pa.DataType, column: Column | None = None) -> Json:
    """The standard's type of an Arrow type, and the column's rules as its options."""
    pattern, least = (None, None) if column is None else (column.pattern, column.least)
    if pa.types.is_list(of):
        return {"logicalType": "array", "items": {**_type(of.value_type), "physicalType": str(of.value_type)}}
    options: Json = next(({"format": form} for is_type, form in _FORMATS if is_type(of)), {})
    if least is not None:
        options["minimum"] = least
    if pattern is not None:
        options["pattern"] = f"^(?:{pattern})$"
    match of:
        case _ if pa.types.is_boolean(of):
            logical = "boolean"
        case _ if pa.types.is_integer(of):
            logical = "integer"
        case _ if pa.types.is_floating(of):
            logical = "number"
        case _ if pa.types.is_date(of):
            logical, options = "date", {"format": "yyyy-MM-dd"}
        case _ if pa.types.is_timestamp(of):
            logical, options = "date", {"format": _INSTANT}
        case _ if pa.types.is_binary(of):
            logical, options = "string", {"format": "binary"}
        case _:
            logical = "string"
    return {"logicalType": logical} | ({"logicalTypeOptions": options} if options else {})


def _plain(example: Example | None) -> object:
    """An example as YAML and JSON both have it."""
    if isinstance(example, tuple):
        return list(example)
    return example if isinstance(example, str | bool | int | float) else written(example)
