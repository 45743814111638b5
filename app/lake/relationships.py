"""Relationships with customers, as the lake's owner loads them: when each ended. A table is an object for ever, in force from a day.

A file is CSV with the columns ``account`` (SSSSSS-AAAAAAAA), ``kind`` (``customer``, or ``occasional`` for who has no business
relationship) and ``ended_on`` (an ISO day, empty while it goes on). The table in force names all accounts of which something is known.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from app.contracts.lake import TOKEN
from app.errors import UsageError
from app.lake import layout
from app.lake.storage import Storage

COLUMNS: Final = ("account", "kind", "ended_on")
CUSTOMER, OCCASIONAL = "customer", "occasional"
_ACCOUNT: Final = re.compile(rf"[0-9]{{6}}-(?:[0-9]{{8}}|{TOKEN})")


@dataclass(frozen=True)
class Relationship:
    """What is known of an account's holder."""

    occasional: bool
    ended: date | None


@dataclass(frozen=True)
class Relationships:
    """A table of relationships; ``sha256`` of the file names it. No table is one that knows nothing."""

    in_force_from: date | None = None
    sha256: str | None = None
    accounts: Mapping[str, Relationship] = field(default_factory=dict)  # by SSSSSS-AAAAAAAA


def parse(data: bytes, name: str) -> dict[str, Relationship]:
    """What a file says, by account; UsageError names the line that is wrong."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UsageError(f"{name}: the first line must be {','.join(COLUMNS)}")
        found: dict[str, Relationship] = {}
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if None in row or None in row.values():
                raise UsageError(f"{where}: there must be three values")
            if row["account"] in found:
                raise UsageError(f"{where}: account: it stands there for the second time")
            found[row["account"]] = _relationship(row, where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{name} is not CSV in UTF-8: {error}") from None
    if not found:
        raise UsageError(f"{name} names no account")
    return found


def _relationship(row: Mapping[str, str], where: str) -> Relationship:
    if not _ACCOUNT.fullmatch(row["account"]):
        raise UsageError(f"{where}: account: it is not written SSSSSS-AAAAAAAA, digits only")
    if row["kind"] not in (CUSTOMER, OCCASIONAL):
        raise UsageError(f"{where}: kind: {row['kind']} is neither {CUSTOMER} nor {OCCASIONAL}")
    try:
        ended = date.fromisoformat(row["ended_on"]) if row["ended_on"] else None
    except ValueError:
        raise UsageError(f"{where}: ended_on: {row['ended_on']} is not a day, such as 2020-03-31") from None
    return Relationship(row["kind"] == OCCASIONAL, ended)


def renamed(found: Mapping[str, Relationship], names: Mapping[str, str]) -> bytes:
    """A file that says the same of accounts by other names."""
    rows = [f"{names[account]},{OCCASIONAL if one.occasional else CUSTOMER},{one.ended or ''}" for account, one in found.items()]
    return "\n".join([",".join(COLUMNS), *rows, ""]).encode()


def keep(storage: Storage, data: bytes, in_force_from: date, now: datetime) -> str | None:
    """Store a file that was checked; its SHA-256, or None if the lake has the same bytes with that date already."""
    sha256 = hashlib.sha256(data).hexdigest()
    said = {"in_force_from": in_force_from.isoformat(), "sha256": sha256, "loaded_at": now.isoformat(), "text": data.decode("utf-8-sig")}
    return sha256 if storage.put_new(layout.relationships(in_force_from.isoformat(), sha256), json.dumps(said).encode()) else None


def in_force(storage: Storage, on: date) -> Relationships:
    """The table in force on a day; of two from one day on the one loaded later."""
    every = [json.loads(bytes(storage.read(entry.path))) for entry in storage.entries(layout.RELATIONSHIPS)]
    begun = [one for one in every if one["in_force_from"] <= on.isoformat()]
    if not begun:
        return Relationships()
    last = max(begun, key=lambda one: (one["in_force_from"], one["loaded_at"]))
    name = f"the table of relationships from {last['in_force_from']}"
    return Relationships(date.fromisoformat(last["in_force_from"]), last["sha256"], parse(last["text"].encode(), name))
