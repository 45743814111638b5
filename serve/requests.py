"""The records of a request's body, read as the NDJSON reader reads a line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
import pyarrow as pa

from app.contracts.landing import NAMES, SCHEMA
from app.contracts.reasons import REASONS
from app.readers.ndjson import Line, Pairs, read_json, read_list, record_of
from serve.problems import Problem

MOST_BYTES: Final = 1024 * 1024
MOST_RECORDS: Final = 1000
_MANY: Final = "transactions"
_LIST: Final = re.compile(rb'\s*\{\s*"transactions"\s*:\s*\[')
_NULL: Final = pa.array([None], pa.string())
_SENTENCES: Final = {reason.code: reason.sentence for reason in REASONS}


@dataclass(frozen=True)
class Asked:
    """Records: their landing texts (``landing.SCHEMA``), and the same as lines of a landing file without the line's end.

    ``many`` if the caller sent a list and is to get one.
    """

    columns: pa.Table
    lines: Sequence[bytes]
    many: bool


def read(body: bytes) -> Asked:
    """The records of a body; Problem says what is wrong with it, and where."""
    if len(body) > MOST_BYTES:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BYTES} bytes; send fewer records at a time")
    begun = _LIST.match(body)
    quickly = None if begun is None else read_list(body, begun.end(), MOST_RECORDS)
    return _read_slowly(body) if quickly is None else Asked(quickly.columns, quickly.lines, many=True)


def _read_slowly(body: bytes) -> Asked:
    try:
        found = read_json(body)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not one JSON value in UTF-8") from None
    if not isinstance(found, Pairs):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f'send one record as a JSON object, or {{"{_MANY}": [ … ]}}')
    if [key for key, _ in found] != [_MANY]:
        record = _record(found, "the record")
        return Asked(table_of([record]), [line_of(record) if b"\n" in body else body], many=False)
    listed = found[0][1]
    if not isinstance(listed, list) or isinstance(listed, Pairs) or not listed:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{_MANY} is a list of one record or more", {"field": _MANY})
    if len(listed) > MOST_RECORDS:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MOST_RECORDS} records, this one has {len(listed)}")
    records = [_record(one, f"record {place} of {_MANY}") for place, one in enumerate(listed, 1)]
    return Asked(table_of(records), [line_of(record) for record in records], many=True)


def table_of(records: Sequence[Line]) -> pa.Table:
    """Records as landing texts."""
    arrays = map(_alone, records[0]) if len(records) == 1 else (pa.array(values, pa.string()) for values in zip(*records, strict=True))
    return pa.Table.from_arrays(list(arrays), schema=SCHEMA)


def _alone(value: str | None) -> pa.StringArray:
    """One text as a column: pa.array looks around first, and takes twice as long."""
    if value is None:
        return _NULL
    data = value.encode()
    return pa.StringArray.from_buffers(1, pa.py_buffer(bytes(4) + len(data).to_bytes(4, "little")), pa.py_buffer(data))


def line_of(record: Line) -> bytes:
    """A record as a line of a landing file, without the line's end; what it does not have is left out."""
    return orjson.dumps({name: value for name, value in zip(NAMES, record, strict=True) if value is not None})


def _record(found: object, where: str) -> Line:
    record = record_of(found)
    if isinstance(record, str):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {_SENTENCES[record]}", {"code": record, "field": where})
    return record
