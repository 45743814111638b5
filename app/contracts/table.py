"""The types that a table's contract is made of."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

from app.contracts.examples import EXAMPLES, Example


class Classification(StrEnum):
    """How sensitive a column's values are, least first."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PERSONAL = "personal"
    SPECIAL_CATEGORY = "special category"


class Owner(StrEnum):
    """Who answers for data: a function of the society, not a person."""

    PAYMENTS = "payments operations"
    DATA_OFFICE = "data office"
    NOMINATED_OFFICER = "nominated officer"
    MODEL_RISK = "model risk"


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, meaning (a phrase), unit and classification.

    ``pattern`` is a regular expression that the whole of each text matches, ``least`` the smallest number, where there is such a rule.
    ``owner``, ``retention`` and ``example`` are given where they differ from the table's and from what columns of this name are like
    (``contracts.examples``).
    """

    name: str
    type: pa.DataType
    meaning: str
    classification: Classification
    unit: str = ""
    nullable: bool = False
    pattern: str | None = None
    least: int | None = None
    owner: Owner | None = None
    retention: str | None = None
    example: Example | None = None


# What values of a type are written as; of numbers the column itself says it.
_UNITS = (
    (pa.types.is_string, "text"),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_boolean, "true or false"),
    (pa.types.is_date, "day, UTC"),
    (pa.types.is_timestamp, "instant, UTC"),
)


@dataclass(frozen=True)
class TableContract:
    """One table: the lake's are Delta tables.

    ``path`` is below the lake's root and a public interface; ``name`` is what SQL calls it (``<layer>_<name>``). ``owner`` and
    ``retention`` (the name of a rule of ``contracts.retention_rules``) are those of every column that names no other.
    """

    path: str
    meaning: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    append_only: bool = False
    owner: Owner | None = None
    retention: str | None = None

    @property
    def name(self) -> str:
        return self.path.replace("/", "_")

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @staticmethod
    def unit_of(column: Column) -> str:
        """What a column's values are counted in or written as."""
        if column.unit:
            return column.unit
        if pa.types.is_list(column.type):
            return "list of " + TableContract.unit_of(Column(column.name, column.type.value_type, column.meaning, column.classification))
        named = [name for is_type, name in _UNITS if is_type(column.type)]
        return named[0] if named else ""

    def owner_of(self, column: Column) -> Owner | None:
        """Who answers for a column: whom it names, else the table's owner."""
        return column.owner or self.owner

    def retention_of(self, column: Column) -> str | None:
        """The name of the rule by which a column is kept: its own, else the table's."""
        return column.retention or self.retention

    def example_of(self, column: Column) -> Example | None:
        """A made-up value of a column: its own, else that of all columns of its name."""
        return EXAMPLES.get(column.name) if column.example is None else column.example


def holds_text(of: pa.DataType) -> bool:
    """Whether values of a type are texts or bytes, or lists of them: in a sealed lake they may be sealed, or tokens."""
    if pa.types.is_dictionary(of) or pa.types.is_list(of):
        return holds_text(of.value_type)
    return bool(pa.types.is_string(of) or pa.types.is_binary(of))
