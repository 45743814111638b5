"""The records of a request's body, read as the NDJSON reader reads a line."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.contracts.reasons import REASONS
from app.readers.ndjson import Line, Pairs, read_json, record_of
from serve.problems import Problem

MOST_BYTES: Final = 1024 * 1024
MOST_RECORDS: Final = 1000
_MANY: Final = "transactions"
_SENTENCES: Final = {reason.code: reason.sentence for reason in REASONS}


@dataclass(frozen=True)
class Asked:
    """The records; ``many`` if the caller sent a list and is to get one."""

    records: list[Line]
    many: bool


def read(body: bytes) -> Asked:
    """The records of a body; Problem says what is wrong with it, and where."""
    if len(body) > MOST_BYTES:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BYTES} bytes; send fewer records at a time")
    try:
        found = read_json(body)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not one JSON value in UTF-8") from None
    if not isinstance(found, Pairs):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f'send one record as a JSON object, or {{"{_MANY}": [ … ]}}')
    if [key for key, _ in found] != [_MANY]:
        return Asked([_record(found, "the record")], many=False)
    listed = found[0][1]
    if not isinstance(listed, list) or isinstance(listed, Pairs) or not listed:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{_MANY} is a list of one record or more", {"field": _MANY})
    if len(listed) > MOST_RECORDS:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MOST_RECORDS} records, this one has {len(listed)}")
    return Asked([_record(one, f"record {place} of {_MANY}") for place, one in enumerate(listed, 1)], many=True)


def _record(found: object, where: str) -> Line:
    record = record_of(found)
    if isinstance(record, str):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {_SENTENCES[record]}", {"code": record, "field": where})
    return record
