"""What lies before each payment that is to be scored, shard by shard; and which scenarios fire on the shard's accounts.

A payment has two accounts, which may be in two shards: what is known of the payer is put down by the payer's shard, what is known of the
payee by the payee's. Whoever scores the payment puts both together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import ACCOUNT_DAILY
from app.detection import dormant
from app.detection.alert import Alert
from app.detection.book import COLUMNS, SECOND_US, Book, book
from app.detection.pack import ACROSS, OF_ACCOUNTS, find_all
from app.detection.thresholds import in_force
from app.features import outcomes, timeline
from app.features.outcomes import UNLABELLED, Labels
from app.features.payments import DAY_US, UNKNOWN, Int64s
from app.lake import layout
from app.lake.storage import Storage
from pipelines.feedback import feedback_for
from pipelines.histories import FILE_BITS, SilverFile, fingerprints_of, read, read_shard, read_touched
from pipelines.work import Run

_SIDES: Final = {"payer": (timeline.OF_PAYER, outcomes.OF_PAYER), "payee": (timeline.OF_PAYEE, outcomes.OF_PAYEE)}


def _record(side: str) -> np.dtype[np.void]:
    facts, judged = _SIDES[side]
    return np.dtype(
        [("number", "<i8"), ("booked_at", "<i8"), ("own", "<i8"), ("facts", "<i8", (len(facts),)), ("judged", "<i8", (len(judged),))]
    )


@dataclass(frozen=True)
class Shard:
    """A shard, and the pieces that it is made of; ``begins`` is their first day if the lake has days before it."""

    number: int
    pieces: tuple[str, ...]
    begins: date | None


@dataclass(frozen=True)
class Network:
    """The files of silver in which scenarios look that follow money from account to account."""

    files: tuple[SilverFile, ...]
    new_runs: frozenset[str]


@dataclass(frozen=True)
class Told:
    """Where a shard's facts lie: by side, the staged file, and for each silver file in it where its payments begin and end."""

    paths: Mapping[str, str]
    places: Mapping[str, Mapping[int, tuple[int, int]]]
    alerts: tuple[tuple[str, Alert], ...]  # each with its scenario's name


def told(run: Run, item: Shard | Network) -> Told:
    """Do one task of the stage."""
    return tell(run, item) if isinstance(item, Shard) else follow(run, item)


def first_day(run: Run, new: date) -> date:
    """The first day of which a network needs payments if the first new payment is of this one."""
    windows = [in_force(scenario.name, run.started_at.date())["window"] for scenario in ACROSS]
    return new - timedelta(seconds=max(windows), days=1)


def follow(run: Run, network: Network) -> Told:
    """Try the scenarios that follow money from account to account; their alerts that have a new payment in evidence."""
    alerts, on = [], run.started_at.date()
    for scenario in ACROSS:
        thresholds = in_force(scenario.name, on)
        parts = [
            scenario.relevant(read(run.lake.storage, file, [*COLUMNS, "run_id"]), thresholds) for file in network.files if scenario.relevant
        ]
        rows = pa.concat_tables(parts).combine_chunks()
        fresh = pc.is_in(rows["run_id"], pa.array(sorted(network.new_runs), pa.string()))
        new = set(rows["transaction_id"].filter(fresh).to_pylist())
        alerts += [(scenario.name, one) for one in scenario.find(book(rows), thresholds) if not new.isdisjoint(one.evidence)]
    return Told({}, {side: {} for side in _SIDES}, tuple(alerts))


def tell(run: Run, shard: Shard) -> Told:
    """Look back from every wanted payment of a shard, and try every scenario on its accounts."""
    rows = read_shard(run.lake.storage, shard.pieces)
    opened = book(rows)
    marks = {name: rows[name].to_numpy()[opened.rows] for name in ("number", "payer_shard", "payee_shard")}
    wanted = np.flatnonzero(rows["wanted"].to_numpy(zero_copy_only=False)[opened.rows])
    facts = timeline.look_back(opened.payments, wanted)
    labels = _labels(run, rows)[opened.rows]
    judged = outcomes.judged_before(opened.payments, labels)[wanted]
    paths, places = {}, {}
    for side, party in (("payer", opened.payments.payer), ("payee", opened.payments.payee)):
        here = marks[f"{side}_shard"][wanted] == shard.number
        mine = wanted[here]
        records = np.empty(len(mine), dtype=_record(side))
        records["number"] = marks["number"][mine]
        records["booked_at"] = opened.payments.booked_at[opened.payments.stands_for[mine]]
        records["own"] = (party[mine] != UNKNOWN) & opened.own[party[mine]]
        of_facts, of_judged = _SIDES[side]
        records["facts"], records["judged"] = facts[here][:, of_facts], judged[here][:, of_judged]
        records.sort(order="number")
        paths[side] = f"{layout.staging(run.run_id)}/facts/{shard.number:04d}-{side}"
        run.lake.storage.put(paths[side], records.tobytes())
        places[side] = _places(records["number"] >> FILE_BITS)
    return Told(paths, places, tuple(_alerts(run, opened, marks, shard)))


def _labels(run: Run, rows: pa.Table) -> Labels:
    known = feedback_for(run)
    return np.full(rows.num_rows, UNLABELLED, dtype=np.int8) if known is None else known.among(rows["transaction_id"])[0]


def _places(files: Int64s) -> dict[int, tuple[int, int]]:
    if not len(files):  # a shard may be of payers alone, or of payees
        return {}
    found, begins = np.unique(files, return_index=True)
    ends = [*begins[1:].tolist(), len(files)]
    return {int(file): (begin, end) for file, begin, end in zip(found, begins.tolist(), ends, strict=True)}


def _alerts(run: Run, opened: Book, marks: Mapping[str, npt.NDArray[np.int32]], shard: Shard) -> list[tuple[str, Alert]]:
    """The alerts of the shard's accounts that fired when the account's first new payment was booked, or later."""
    here = np.zeros(opened.payments.parties, dtype=np.bool_)
    for side, party in (("payer", opened.payments.payer), ("payee", opened.payments.payee)):
        mine = party[marks[f"{side}_shard"] == shard.number]
        here[mine[mine != UNKNOWN]] = True
    watched = replace(opened, own=opened.own & here)
    if shard.begins is not None:
        watched = replace(watched, earlier=_earlier(run, watched, shard.begins))
    found = find_all(watched, run.started_at.date(), OF_ACCOUNTS)
    named = [(scenario, alert) for scenario, alerts in found.items() for alert in alerts]
    first = read_touched(run).first_of(fingerprints_of([alert.account for _, alert in named], run.lake.key))
    return [one for one, touched in zip(named, first.tolist(), strict=True) if one[1].fired_at >= touched]


def _earlier(run: Run, opened: Book, begins: date) -> Int64s:
    """When the accounts that have long been silent in the book last paid or were paid before it, by the days of gold/account_daily.

    Only for own accounts whose first payment here is so late that they may have been dormant: the table may have many years.
    """
    earlier = np.full(opened.payments.parties, timeline.NEVER)
    entries, places = opened.payments.timelines()
    there = np.flatnonzero(opened.own & (places[1:] > places[:-1]))
    first = entries[places[there]]
    silence = in_force(dormant.NAME, run.started_at.date())["silence"] * SECOND_US
    late = opened.sterling[first >> 1] & (opened.payments.booked_at[first >> 1] >= _instant(begins) + silence)
    parties = {
        (opened.payee if entry & 1 else opened.payer)[entry >> 1].as_py(): party
        for entry, party in zip(first[late].tolist(), there[late].tolist(), strict=True)
    }
    if not parties:
        return earlier
    wanted = pc.field("account_number").isin([name[-8:] for name in parties]) & (pc.field("currency") == "GBP")
    columns = ["sort_code", "account_number", "booking_date"]
    days = run.lake.table(ACCOUNT_DAILY).to_pyarrow_dataset().to_table(columns, filter=wanted & (pc.field("booking_date") < begins))
    for row in days.group_by(["sort_code", "account_number"]).aggregate([("booking_date", "max")]).to_pylist():
        party = parties.get(f"{row['sort_code']}-{row['account_number']}")
        if party is not None:
            earlier[party] = _instant(row["booking_date_max"] + timedelta(days=1)) - 1
    return earlier


def _instant(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


@dataclass(frozen=True)
class Facts:
    """What is known of the payments of one silver file that are to be scored, in the order of its rows."""

    rows: Int64s  # in the file
    booked_at: Int64s  # of the payments that they stand for
    facts: Int64s  # [n, timeline.FACTS]
    judged: Int64s  # [n, outcomes.COUNT]
    payer_is_own: npt.NDArray[np.bool_]

    def cut(self, begin: int, end: int) -> "Facts":
        """Some of them."""
        return Facts(*(getattr(self, one.name)[begin:end] for one in fields(self)))


def gather(storage: Storage, told: Sequence[Told], file: int) -> Facts:
    """Put together what the shards told of a file's payments."""
    parts = {side: _of_file(storage, told, side, file) for side in _SIDES}
    numbers = np.unique(np.concatenate([records["number"] for records in parts.values()]))
    booked_at, own = (np.zeros(len(numbers), dtype=np.int64) for _ in range(2))
    facts = timeline.nothing(len(numbers))
    judged = np.zeros((len(numbers), outcomes.COUNT), dtype=np.int64)
    for side, records in parts.items():
        at = np.searchsorted(numbers, records["number"])
        booked_at[at] = records["booked_at"]
        of_facts, of_judged = _SIDES[side]
        facts[at[:, None], of_facts] = records["facts"]
        judged[at[:, None], of_judged] = records["judged"]
        if side == "payer":
            own[at] = records["own"]
    return Facts(numbers - (np.int64(file) << FILE_BITS), booked_at, facts, judged, own.astype(np.bool_))


def _of_file(storage: Storage, told: Sequence[Told], side: str, file: int) -> npt.NDArray[np.void]:
    record = _record(side)
    found = []
    for one in told:
        if file in one.places[side]:
            begin, end = one.places[side][file]
            found.append(
                np.frombuffer(storage.view(one.paths[side], begin * record.itemsize, (end - begin) * record.itemsize), dtype=record)
            )
    return np.concatenate(found) if found else np.zeros(0, dtype=record)
