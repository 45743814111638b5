"""Quarantine as reviewers see it: its records, where each stands, how old it is, and what it was before anybody touched it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.corrections import Item, Standing, State
from app.contracts.lake import BRONZE, QUARANTINE
from app.contracts.landing import NAMES
from app.contracts.reasons import CODES, OF_UNREADABLE
from app.errors import ReviewRefused, UnknownRecord, UsageError
from app.lake import delta
from app.lake.lake import Lake
from app.reference import currencies

COLUMNS: Final = (
    "source_uri", "source_sha256", "record_number", "reasons", "transaction_id", "amount_minor", "currency", "ingested_at", "run_id"
)  # fmt: skip
AGES: Final = ((1, "up to a day"), (7, "up to a week"), (30, "up to 30 days"), (90, "up to 90 days"))
OLDEST: Final = "over 90 days"


@dataclass(frozen=True)
class Filter:
    """Which records somebody wants to see; None is any."""

    reason: str | None = None
    source: str | None = None  # a part of the file's URI
    state: State | None = None
    currency: str | None = None
    least_amount: Decimal | None = None  # in units of the record's own currency, whatever its sign
    older_than: timedelta | None = None
    younger_than: timedelta | None = None

    def check(self) -> None:
        """UsageError if nothing can ever fit."""
        if self.reason is not None and self.reason not in CODES:
            raise UsageError(f"there is no reason {self.reason}; `leofric reasons` lists them")


def filter_of(
    reason: str | None = None,
    source: str | None = None,
    state: str | None = None,
    currency: str | None = None,
    least_amount: str | None = None,
    older_than: float | None = None,
    younger_than: float | None = None,
) -> Filter:
    """The filter of a caller's words; ages in days. UsageError if a word cannot be one."""
    if state is not None and state not in set(State):
        raise UsageError(f"state {state}: a record is {', '.join(State)}")
    try:
        least = None if least_amount is None else Decimal(least_amount)
    except InvalidOperation:
        least = Decimal("nan")
    if least is not None and not least.is_finite():
        raise UsageError(f"least amount {least_amount!r} is no number such as 1000 or 12.50")
    ages = [None if days is None else timedelta(days=days) for days in (older_than, younger_than)]
    return Filter(reason, source, None if state is None else State(state), currency, least, *ages)


def records(lake: Lake) -> pa.Table:
    """All of quarantine, COLUMNS, oldest first."""
    rows = lake.table(QUARANTINE).to_pyarrow_dataset().to_table(columns=list(COLUMNS))
    return rows.sort_by([("ingested_at", "ascending"), ("source_uri", "ascending"), ("record_number", "ascending")])


def states(rows: pa.Table, found: Mapping[Item, Standing]) -> list[State]:
    """Where each of these rows stands."""
    known = {tuple(item): standing.state for item, standing in found.items()}
    pairs = zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), strict=True)
    return [known.get(pair, State.OPEN) for pair in pairs] if known else [State.OPEN] * rows.num_rows


def chosen(rows: pa.Table, stand: Sequence[State], wanted: Filter, now: datetime) -> npt.NDArray[np.int64]:
    """Which of the rows fit; ``stand`` is where each stands."""
    wanted.check()
    fits = np.ones(rows.num_rows, dtype=np.bool_)
    if wanted.state is not None:
        fits &= np.array([state is wanted.state for state in stand], dtype=np.bool_)
    if wanted.reason is not None:
        fits &= np.array([wanted.reason in reasons for reasons in rows["reasons"].to_pylist()], dtype=np.bool_)
    if wanted.source is not None:
        fits &= _mask(pc.match_substring(rows["source_uri"], wanted.source))
    if wanted.currency is not None:
        fits &= _mask(pc.equal(rows["currency"], wanted.currency))
    if wanted.least_amount is not None:
        fits &= _at_least(rows, wanted.least_amount)
    if wanted.older_than is not None:
        fits &= _mask(pc.less_equal(rows["ingested_at"], now - wanted.older_than))
    if wanted.younger_than is not None:
        fits &= _mask(pc.greater(rows["ingested_at"], now - wanted.younger_than))
    return np.flatnonzero(fits)


def _mask(fits: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(fits.fill_null(False).to_numpy(), dtype=np.bool_)


def _at_least(rows: pa.Table, amount: Decimal) -> npt.NDArray[np.bool_]:
    exponents = currencies.readable_exponents()
    least = {code: int(amount.scaleb(exponent).to_integral_value()) for code, exponent in exponents.items()}
    pairs = zip(rows["amount_minor"].to_pylist(), rows["currency"].to_pylist(), strict=True)
    return np.array([minor is not None and abs(minor) >= least[code] for minor, code in pairs], dtype=np.bool_)


def ages(rows: pa.Table, now: datetime) -> pa.StringArray:
    """How long each of these rows has been in quarantine, in the words of AGES."""
    since = rows["ingested_at"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    days = (pa.scalar(now, pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py() - since) / (24 * 3600 * 1_000_000)
    place = np.searchsorted([most for most, _ in AGES], days, side="left")
    return pa.array([*(name for _, name in AGES), OLDEST], pa.string()).take(pa.array(place))


def resolve(rows: pa.Table, texts: Iterable[str]) -> list[Item]:
    """The records with these ids, ``<beginning of the file's SHA-256>:<record number>``; ReviewRefused unless there is one."""
    hashes = pc.unique(rows["source_sha256"]).to_pylist()
    there = set(zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), strict=True))
    return [_resolved(text, hashes, there) for text in texts]


def _resolved(text: str, hashes: Sequence[str], there: set[tuple[str, int]]) -> Item:
    begin, colon, number = text.partition(":")
    if not colon or not begin or not number.isdecimal():
        raise ReviewRefused(f"{text!r} is no record's id; ids are written like 4f2a90c1d3e5:17, as `leofric quarantine list` shows them")
    found = [one for one in hashes if one.startswith(begin) and (one, int(number)) in there]
    if len(found) != 1:
        what = "is in quarantine" if not found else "is the only one: give more of the file's hash"
        raise UnknownRecord(f"no record {text} {what}; nothing was changed")
    return Item(found[0], int(number))


def is_unreadable(reasons: Sequence[str]) -> bool:
    """Whether a record with these reasons could not be read at all."""
    return any(reason in OF_UNREADABLE for reason in reasons)


def originals(lake: Lake, rows: pa.Table) -> pa.Table:
    """The texts of those rows of quarantine that could be read, as bronze has them: NAMES, source_sha256, record_number."""
    columns = [*NAMES, "source_sha256", "record_number"]
    found = []
    for sha256 in pc.unique(rows["source_sha256"]).to_pylist():
        mine = rows.filter(pc.equal(rows["source_sha256"], sha256))
        days = pc.unique(pc.cast(mine["ingested_at"], pa.timestamp("us")).cast(pa.date32(), safe=False)).to_pylist()
        fits = (
            pc.field("ingest_date").isin(days)
            & (pc.field("source_sha256") == sha256)
            & pc.field("record_number").isin(mine["record_number"].combine_chunks())
        )
        found.append(delta.dataset(lake.table(BRONZE), BRONZE).to_table(columns=columns, filter=fits))
    return lake.opened(pa.concat_tables(found)) if found else BRONZE.schema.empty_table().select(columns)


def raw_of(lake: Lake, item: Item) -> bytes:
    """A record's bytes as they came."""
    fits = (pc.field("source_sha256") == item.source_sha256) & (pc.field("record_number") == item.record_number)
    found = lake.opened(lake.table(QUARANTINE).to_pyarrow_dataset().to_table(columns=["raw_record"], filter=fits))
    return bytes(found["raw_record"][0].as_py())
