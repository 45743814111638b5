"""The types that a table's contract is made of."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa


class Classification(StrEnum):
    """How sensitive a column's values are, least first."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PERSONAL = "personal"
    SPECIAL_CATEGORY = "special category"


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, meaning (a phrase), unit and classification.

    ``pattern`` is a regular expression that the whole of each text matches, ``least`` the smallest number, where there is such a rule.
    """

    name: str
    type: pa.DataType
    meaning: str
    classification: Classification
    unit: str = ""
    nullable: bool = False
    pattern: str | None = None
    least: int | None = None


@dataclass(frozen=True)
class TableContract:
    """One Delta table of the lake.

    ``path`` is below the lake's root and a public interface; ``name`` is what SQL calls it (``<layer>_<name>``).
    """

    path: str
    meaning: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    append_only: bool = False

    @property
    def name(self) -> str:
        return self.path.replace("/", "_")

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])
