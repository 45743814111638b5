"""Logs that name nobody and open nothing: account details and secrets are masked before a line is written, which is one JSON object."""

import json
import logging
import math
import re
from datetime import UTC, date, datetime
from functools import lru_cache

_STARS = "****"
_GAP = "[- \u00a0\u2010-\u2015]"  # what people write between groups of digits

_SECRET = re.compile(
    r"(?P<key>leofric_[a-z0-9-]{1,40}_[A-Za-z0-9_-]{16,})"  # an API key, also one that was cut short
    r"|(?P<token>eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]*)"  # a JWT: base64 of what begins with {"
    r"|(?<=://)(?P<user>[^\s/@:]*:[^\s/]*(?=@))"  # user:password of an address
    r"|(?P<named>(?i:bearer|basic) (?!<API key)|(?i:secret|passw(?:or)?d|token)[A-Za-z_]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',&;]+"
)
_SENSITIVE = re.compile(
    r"(?P<run>(?<![0-9])[0-9]{8}T[0-9]{6}(?:\.[0-9]{6})?Z(?:-[0-9a-f]{8}\b)?)"  # ids of runs and models begin with an instant
    # An IBAN by its shape only: one with a wrong check digit is exactly what gets logged. In groups of four, or in one piece.
    rf"|(?P<iban>(?<![A-Za-z0-9])(?:[A-Za-z]{{2}}[0-9]{{2}}(?:{_GAP}[A-Za-z0-9]{{4}}){{2,7}}(?:{_GAP}[A-Za-z0-9]{{1,4}})?"
    r"|[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30})(?![A-Za-z0-9]))"
    # Six digits and more in one piece: a sort code, an account number (some banks' have up to ten), both together, a card's number.
    r"|(?P<digits>\d{6,})"
    rf"|(?P<account>(?<!\d)\d{{4}}{_GAP}\d{{4}}(?!\d))"
    rf"|(?P<sort_code>(?<!\d)\d{{2}}{_GAP}\d{{2}}{_GAP}\d{{2}}(?!\d))"
)
_REQUEST_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_PRIVATE_NAME = re.compile(r"account|sort_?code|iban", re.IGNORECASE)
_SECRET_NAME = re.compile(r"secret|passw|token|authorization|api_?key|private", re.IGNORECASE)
_DEEPEST = 8

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}


def masked(text: str) -> str:
    """The text with sort codes, account numbers and IBANs masked but for their last 2 (sort codes) or 4 characters, and secrets whole.

    In doubt it masks: any six digits in a row are taken for a sort code, a pair of four digits for an account number, and what stands
    behind "Bearer" or "password=" for a secret. Instants of the form 20260304T090000Z, with which ids of runs begin, stay.
    """
    return _SENSITIVE.sub(_replacement, _SECRET.sub(lambda found: f"{found['named'] or ''}{_STARS}", text))


def _replacement(found: re.Match[str]) -> str:
    piece = found[0]
    match found.lastgroup:
        case "run":
            return piece
        case "sort_code":
            return _STARS + piece[-2:]
        case "digits" if len(piece) == 6:
            return _STARS + piece[-2:]
        case _:
            return _STARS + piece[-4:]


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, then what the call gave as ``extra``, then the exception.

    Texts are masked wherever they are, and all that is in a field that is named after a secret. Other numbers stay, since counts and
    times must be readable, except in fields that are named after an account; an account's number in a field of another name must be a
    text, as it is everywhere in Leofric.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, without the line's end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
            "request_id": _request_id(getattr(record, "request_id", None)),
        }
        for name, value in vars(record).items():
            if name not in _OWN and not name.startswith("_"):  # Ray gives every record a _ray_timestamp_ns
                line[name if name not in line and name not in {"exception", "stack"} else f"{name}_"] = _plain(name, value)
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        elif record.exc_text:  # a queue's handler has made it a text already
            line["exception"] = masked(record.exc_text)
        if record.stack_info:
            line["stack"] = masked(self.formatStack(record.stack_info))
        return json.dumps(line)  # in ASCII, so that nothing but the end of the line ends the line


def _request_id(value: object) -> str | None:
    """Ids that are UUIDs stay whole, or lines of one request could not be found; what else a caller sends as an id is masked."""
    if value is None:
        return None
    text = str(value)
    return text if _REQUEST_ID.fullmatch(text) else masked(text)


@lru_cache(maxsize=512)
def _named_after(name: str) -> tuple[bool, bool]:
    """Whether a field's name speaks of a secret, or of an account."""
    return _SECRET_NAME.search(name) is not None, _PRIVATE_NAME.search(name) is not None


def _plain(name: str, value: object, depth: int = _DEEPEST) -> object:
    secret, private = _named_after(name)
    if value is not None and secret:
        return _STARS
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and private:
        return masked(str(value))
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if depth and isinstance(value, dict):
        return {masked(str(key)): _plain(str(key), entry, depth - 1) for key, entry in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(name, entry, depth - 1) for entry in value]
    return masked(str(value))
