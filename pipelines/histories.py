"""The payments that scoring looks back on: those of the accounts that new payments touch, sorted into shards by account.

A shard has every payment, back to the horizon, of the accounts that fall into it: enough to know what lies before a payment on one of
its sides. A payment whose two accounts fall into two shards is in both.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app import fingerprints
from app.contracts.lake import SILVER
from app.detection.book import COLUMNS
from app.features.payments import Int64s
from app.fingerprints import Words
from app.lake import layout
from app.lake.lake import Lake
from app.lake.storage import Storage
from pipelines.held import Held, held
from pipelines.work import Run

Mask = npt.NDArray[np.bool_]

FILE_BITS = 32
"""A payment's number is its silver file's number, shifted by so many bits, plus its row there."""


@dataclass(frozen=True)
class SilverFile:
    """A file of silver; ``number`` is its place among all."""

    number: int
    path: str  # below the table
    booking_date: date
    rows: int
    new: bool  # a run wrote it whose payments are not scored yet


@dataclass(frozen=True)
class Touched:
    """Accounts (fingerprints, ascending), and when the first new payment of each was booked (µs since 1970)."""

    accounts: Words
    first: Int64s

    def first_of(self, accounts: Words) -> Int64s:
        """When each of these was first touched; NEVER_TOUCHED for those that were not."""
        place = np.minimum(np.searchsorted(self.accounts, accounts), max(len(self.accounts) - 1, 0))
        if not len(self.accounts):
            return np.full(len(accounts), NEVER_TOUCHED)
        return np.where(self.accounts[place] == accounts, self.first[place], NEVER_TOUCHED)


NEVER_TOUCHED = np.iinfo(np.int64).max


@dataclass(frozen=True)
class News:
    """What a new file of silver brings."""

    touched: Touched
    held: Mapping[str, Held]  # by run


def news(run: Run, file: SilverFile) -> News:
    """Which accounts a new file touches, and what it holds."""
    rows = read(run.lake.storage, file, ["transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee", "run_id"])
    booked_at = _instants(rows)
    sides = [_accounts(rows[side], run.lake.key) for side in ("payer", "payee")]
    accounts = np.concatenate([hashed[known] for hashed, known in sides])
    when = np.concatenate([booked_at[known] for _, known in sides])
    return News(_earliest(accounts, when), held(rows, "run_id", run.lake.key))


def merged(parts: Sequence[Touched]) -> Touched:
    """All accounts that any part touches."""
    return _earliest(
        np.concatenate([part.accounts for part in parts] or [np.zeros(0, dtype=np.uint64)]),
        np.concatenate([part.first for part in parts] or [np.zeros(0, dtype=np.int64)]),
    )


def _earliest(accounts: Words, when: Int64s) -> Touched:
    order = np.lexsort((when, accounts))
    unique, begins = np.unique(accounts[order], return_index=True)
    return Touched(unique, when[order][begins])


def keep_touched(run: Run, touched: Touched) -> None:
    """Put down which accounts are touched, for the tasks to come."""
    out = io.BytesIO()
    np.savez(out, accounts=touched.accounts, first=touched.first)
    run.lake.storage.put(_touched_path(run), out.getvalue())


def read_touched(run: Run) -> Touched:
    """What ``keep_touched`` put down."""
    return _touched_at(run.lake.storage, _touched_path(run))


@lru_cache(maxsize=1)  # a process does many tasks of one run
def _touched_at(storage: Storage, path: str) -> Touched:
    with np.load(io.BytesIO(bytes(storage.read(path))), allow_pickle=False) as arrays:
        return Touched(arrays["accounts"], arrays["first"])


def _touched_path(run: Run) -> str:
    return f"{layout.staging(run.run_id)}/touched.npz"


@dataclass(frozen=True)
class Spread:
    """Files of silver that one task sorts into so many shards."""

    number: int
    files: tuple[SilverFile, ...]
    shards: int
    new_runs: frozenset[str]


@dataclass(frozen=True)
class Sorted:
    """Where a task's payments went: by shard, the staged piece. By silver file: how many payments are to be scored again."""

    pieces: Mapping[int, str]
    again: Mapping[int, int]


def spread(run: Run, item: Spread) -> Sorted:
    """Sort the payments of touched accounts into shards."""
    touched = read_touched(run)
    parts, again = [], {}
    for file in item.files:
        rows, repeated = _marked(run, file, touched, item)
        if rows.num_rows:
            parts.append(rows)
        if repeated:
            again[file.number] = repeated
    if not parts:
        return Sorted({}, again)
    rows = pa.concat_tables(parts)
    pieces = {}
    for shard in range(item.shards):
        mine = [pc.equal(rows[f"{side}_shard"], shard) for side in ("payer", "payee")]
        piece = rows.filter(pc.or_(*mine)) if item.shards > 1 else rows
        if piece.num_rows:
            pieces[shard] = f"{layout.staging(run.run_id)}/histories/{shard:04d}-{item.number:05d}.arrow"
            run.lake.storage.put(pieces[shard], _stream(piece))
    return Sorted(pieces, again)


def _marked(run: Run, file: SilverFile, touched: Touched, item: Spread) -> tuple[pa.Table, int]:
    """A file's payments of touched accounts: COLUMNS, their numbers, their accounts' shards, and which are ``wanted``; how many again.

    Wanted is what is new, and what was booked on an account after the first new payment there: its past is another one now.
    """
    rows = read(run.lake.storage, file, [*COLUMNS, "run_id"])
    booked_at = _instants(rows)
    new = pc.is_in(rows["run_id"], pa.array(sorted(item.new_runs), pa.string())).to_numpy()
    firsts, shards = [], []
    for side in ("payer", "payee"):
        hashed, known = _accounts(rows[side], run.lake.key)
        firsts.append(np.where(known, touched.first_of(hashed), NEVER_TOUCHED))
        shards.append(np.where(known, (hashed % np.uint64(item.shards)).astype(np.int32), -1).astype(np.int32))
    again = ~new & ((booked_at >= firsts[0]) | (booked_at >= firsts[1]))
    kept = np.flatnonzero((firsts[0] != NEVER_TOUCHED) | (firsts[1] != NEVER_TOUCHED))
    number = (np.int64(file.number) << FILE_BITS) + np.arange(rows.num_rows)
    marks = {"number": number, "payer_shard": shards[0], "payee_shard": shards[1], "wanted": new | again}
    table = rows.select(COLUMNS)
    for name, values in marks.items():
        table = table.append_column(name, pa.array(values))
    return (table if len(kept) == rows.num_rows else table.take(pa.array(kept))), int(again.sum())


def read_shard(storage: Storage, paths: Sequence[str]) -> pa.Table:
    """The pieces of a shard as one table."""
    return pa.concat_tables([pa.ipc.open_stream(pa.py_buffer(storage.read(path))).read_all() for path in paths]).combine_chunks()


def _stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def read(storage: Storage, file: SilverFile, columns: list[str]) -> pa.Table:
    """Some columns of a file of silver."""
    with storage.arrow_file(f"{SILVER.path}/{file.path}") as opened, pq.ParquetFile(opened) as parquet:
        return parquet.read(columns=columns, use_threads=False)


def _accounts(side: pa.ChunkedArray, key: bytes) -> tuple[Words, Mask]:
    """The fingerprint of each account, and where there is one."""
    encoded = pa.chunked_array([side.combine_chunks().dictionary_encode()]).chunk(0)
    known = encoded.indices.is_valid().to_numpy(zero_copy_only=False)
    hashes = fingerprints.of_texts(pa.chunked_array([encoded.dictionary]), key)
    if not len(hashes):
        return np.zeros(len(side), dtype=np.uint64), known
    return hashes[encoded.indices.fill_null(0).to_numpy()], known


def fingerprints_of(accounts: Sequence[str], key: bytes) -> Words:
    """The fingerprints of accounts by name."""
    return fingerprints.of_texts(pa.chunked_array([pa.array(accounts, pa.string())]), key)


def _instants(rows: pa.Table) -> Int64s:
    return np.asarray(rows["booked_at"].cast(pa.int64()).to_numpy())


def files(lake: Lake, writers: frozenset[str]) -> list[SilverFile]:
    """The files of silver by day and name; new are those that one of these wrote (``score.writers``)."""
    actions = pa.table(lake.table(SILVER).get_add_actions(flatten=True)).select(["path", "partition.booking_date", "num_records"])
    rows = sorted(zip(*(column.to_pylist() for column in actions.columns), strict=True), key=lambda row: (str(row[1]), row[0]))
    return [
        SilverFile(number, path, date.fromisoformat(str(day)), count, any(f"part-{writer}" in path for writer in writers))
        for number, (path, day, count) in enumerate(rows)
    ]
