"""The audit trail in PostgreSQL: for those who keep it apart from the lake, under a server's own rights.

Whoever appends holds the row that has the head until the entries are committed: so there is one chain, and nobody tries twice. A trigger
refuses to change or remove an entry, whoever asks: only who may drop triggers can, and verification finds it.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from app.compliance.audit import Entry, Event, Head, Signer, chained, entry_of
from app.errors import AuditError
from app.lake.audit import AuditLog, row_of
from app.lake.storage import Storage

_NAMES: Final = tuple(field.name for field in fields(Entry))
_LOCK: Final = 7_310_016  # of whoever makes the tables: any number that nobody else uses
_ROWS_AT_A_TIME: Final = 5_000
_CONNECT_SECONDS: Final = 10

_TABLES: Final = """
create table if not exists leofric_audit_log (
    sequence bigint primary key check (sequence >= 1),
    event_id text not null,
    at timestamptz not null,
    actor text not null,
    actor_kind text not null,
    action text not null,
    object text not null,
    object_version text,
    reason text,
    origin text not null,
    result text not null,
    details text not null,
    classification text not null,
    frameworks text[] not null,
    retention text not null,
    key_id text,
    previous_hash text not null,
    hash text not null,
    signature text
);
create index if not exists leofric_audit_log_event on leofric_audit_log (event_id);
create table if not exists leofric_audit_head (
    only_one boolean primary key default true check (only_one),
    sequence bigint not null,
    hash text not null
);
create or replace function leofric_audit_refuse() returns trigger language plpgsql as
$$ begin raise exception 'the audit trail is append-only'; end $$;
create or replace trigger leofric_audit_append_only before update or delete or truncate on leofric_audit_log
    for each statement execute function leofric_audit_refuse();
"""


class PostgresAuditLog(AuditLog):
    """The trail as the table leofric_audit_log, which the first one to open it makes."""

    def __init__(self, storage: Storage, signer: Signer | None, address: str) -> None:
        """``address`` is a postgresql:// URI; what libpq reads of the environment counts, too."""
        super().__init__(storage, signer)
        self._address = address
        self._connected: psycopg.Connection[Any] | None = None
        with self._connection() as connection:
            _make_tables(connection)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, made anew if it was lost; AuditError for whatever the server says."""
        try:
            if self._connected is None or self._connected.closed:
                self._connected = psycopg.connect(self._address, autocommit=True, connect_timeout=_CONNECT_SECONDS)
            yield self._connected
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            self.close()
            raise AuditError(f"the audit trail in PostgreSQL cannot be used: {said}") from None

    def _append(self, events: Sequence[Event], once: bool) -> list[Entry]:
        with self._connection() as connection, connection.transaction():
            found = connection.execute("select sequence, hash from leofric_audit_head for update").fetchone()
            if found is None:
                raise AuditError("the audit trail in PostgreSQL has lost the row of leofric_audit_head; restore it")
            had = _known(connection, [event.event_id for event in events]) if once else set()
            entries = chained(Head(*found), [event for event in events if event.event_id not in had], self.signer)
            if entries:
                with connection.cursor().copy(f"copy leofric_audit_log ({', '.join(_NAMES)}) from stdin") as copy:
                    for entry in entries:
                        copy.write_row(list(row_of(entry).values()))
                connection.execute("update leofric_audit_head set sequence = %s, hash = %s", (entries[-1].sequence, entries[-1].hash))
        return entries

    def head(self) -> Head:
        with self._connection() as connection:
            found = connection.execute("select sequence, hash from leofric_audit_head").fetchone()
        return Head() if found is None else Head(*found)

    def entries(self) -> Iterator[Entry]:
        with self._connection() as connection, connection.transaction(), connection.cursor("entries", row_factory=dict_row) as cursor:
            cursor.itersize = _ROWS_AT_A_TIME
            cursor.execute(f"select {', '.join(_NAMES)} from leofric_audit_log order by sequence")  # noqa: S608 (the names are our own)
            for row in cursor:
                yield entry_of(row)

    def known(self, event_ids: Collection[str]) -> set[str]:
        with self._connection() as connection:
            return _known(connection, event_ids)

    def about(self, about: str) -> list[Entry]:
        asked = f"select {', '.join(_NAMES)} from leofric_audit_log where object = %s order by sequence"  # noqa: S608 (our own names)
        with self._connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [entry_of(row) for row in cursor.execute(asked, (about,))]

    def _check(self) -> None:
        with self._connection() as connection, connection.transaction(force_rollback=True):
            connection.execute("update leofric_audit_head set sequence = sequence")

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()
            self._connected = None


def _make_tables(connection: psycopg.Connection[Any]) -> None:
    if connection.execute("select to_regclass('leofric_audit_head')").fetchone() != (None,):
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_TABLES)
        connection.execute("insert into leofric_audit_head (sequence, hash) values (0, %s) on conflict do nothing", (Head().hash,))


def _known(connection: psycopg.Connection[Any], event_ids: Collection[str]) -> set[str]:
    rows = connection.execute("select event_id from leofric_audit_log where event_id = any(%s)", (list(event_ids),))
    return {row[0] for row in rows}
