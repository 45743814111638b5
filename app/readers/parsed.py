"""What a reader makes of a unit: a run of whole records of one file."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.contracts.reasons import Codes

Numbers = npt.NDArray[np.int64]


class RawRecords(Protocol):
    """The bytes of a unit's readable records, made only for the rows that somebody asks for."""

    def take(self, rows: Numbers) -> pa.BinaryArray:
        """The bytes of those rows as they stand in the file, without the line end.

        A Parquet row has no bytes of its own: its values stand for it, as one JSON object.
        """
        ...


@dataclass(frozen=True)
class Parsed:
    """Every record of a unit, either as texts or as a fault; none is missing, none is in both.

    ``columns`` has one row a readable record, in file order, with ``contracts.landing.SCHEMA``; a value that the record
    does not have is empty or null. Every text in it is valid UTF-8 without NUL.
    """

    columns: pa.Table
    record_number: Numbers  # of each row of columns; a file's first record is 1, its header is not counted
    raw: RawRecords  # of the rows of columns
    fault_record_number: Numbers  # of each record that could not be read, ascending
    fault_code: Codes  # why, as contracts.reasons.number_of says
    fault_raw: pa.BinaryArray  # the bytes of each, without the line end
    contract_version: int  # of the landing contract, as far as these records show it

    @property
    def records(self) -> int:
        return len(self.record_number) + len(self.fault_record_number)


@dataclass(frozen=True)
class Span:
    """Where a unit of whole records lies in a file's (decompressed) bytes."""

    offset: int
    length: int
    first_record_number: int
    records: int
