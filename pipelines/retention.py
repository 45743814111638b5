"""What of a lake must still be kept on a day, what may go and what must: found row by row where a clock or a hold is a customer's.

``select`` is the one judgement; `leofric retention plan` shows it, and a run of retention carries it out. Files of which nothing can be due
are judged by the transaction log alone; of the others only keys are read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.compliance.legal_holds import Hold, Kind, of_kind, standing
from app.compliance.retention import CUSTOMERS, Fate, Known, Verdict, decide, is_personal, rules_of, soonest
from app.contracts.lake import (
    ACCOUNT_DAILY,
    ALERTS,
    AUDIT,
    BRONZE,
    CHANNEL_DAILY,
    CORRECTIONS,
    DATA_QUALITY_DAILY,
    DRIFT_DAILY,
    DUPLICATES,
    FEEDBACK,
    QUARANTINE,
    QUARANTINE_DAILY,
    RUNS,
    SCORES,
    SHADOW_SCORES,
    SILVER,
)
from app.contracts.retention_rules import RetentionRule
from app.contracts.table import TableContract
from app.errors import LakeDamaged
from app.lake import legal_holds, relationships, retention_rules, runs
from app.lake.lake import Lake, has
from app.lake.relationships import Relationships
from app.review import corrections as kept

Mask = npt.NDArray[np.bool_]

BY_DAY: Final = (CHANNEL_DAILY, DATA_QUALITY_DAILY, QUARANTINE_DAILY, DRIFT_DAILY)
"""Tables whose days go as wholes: nothing in them is of one customer."""

LEFT: Final = {
    SHADOW_SCORES.path: "the service writes it between runs",
    CORRECTIONS.path: "each decision is part of a digest that certificates hold",
    RUNS.path: "certificates prove what is gone; a chain with a hole proves nothing",
    AUDIT.path: "a chain with a hole proves nothing; the audit of a year is concluded on a day that is not known here",
}
"""Tables of which nothing is deleted, and why."""

_KEYS: Final = ("transaction_id", "source_sha256", "record_number", "run_id", "currency", "amount_minor")


@dataclass(frozen=True)
class Basis:
    """What a judgement rests on: a day, all rules, the holds that stand, and what is known of relationships."""

    on: date
    rules: tuple[RetentionRule, ...]
    holds: tuple[Hold, ...]
    relationships: Relationships


def basis(lake: Lake, on: date) -> Basis:
    """What the lake says for a day."""
    holds = tuple(standing(legal_holds.decisions(lake.storage)))
    return Basis(on, retention_rules.rules(lake.storage), holds, relationships.in_force(lake.storage, on))


@dataclass(frozen=True)
class Part:
    """A file of a table; ``day`` is its partition's, None where the table has no day."""

    contract: TableContract
    path: str  # below the table
    partition: Mapping[str, str | None]
    day: date | None
    rows: int
    size: int


@dataclass(frozen=True)
class Only:
    """What a judgement is limited to: what lies in a lake about one person. No limit makes anything due that is not due without it.

    ``places`` has, by landing file, the numbers of the records; ``parties`` are how the tables write the person; ``days`` the days of each
    table's partitions where anything of it lies, by the table's path. ``subject``: what a certificate calls the person.
    """

    subject: tuple[str, ...]
    parties: tuple[str, ...]
    places: Mapping[str, npt.NDArray[np.int64]]
    days: Mapping[str, frozenset[date]]

    def at(self, rows: pa.Table) -> Mask:
        """The rows that are, or were made of, one of the records."""
        found = np.zeros(rows.num_rows, np.bool_)
        numbers = np.asarray(rows["record_number"].to_numpy())
        for sha256, at in _places(rows["source_sha256"]).items():
            found[at] = np.isin(numbers[at], self.places.get(sha256, ()))
        return found

    def of(self, accounts: pa.ChunkedArray) -> Mask:
        """The rows that are the person's as accounts."""
        return np.asarray(pc.is_in(accounts, value_set=pa.array(self.parties, pa.string())).to_numpy(), np.bool_)


@dataclass(frozen=True)
class Group:
    """Rows of one file with one verdict; ``note`` says why rows that are due stay all the same, or with what they go.

    ``other``: of a judgement that is limited to a person, payments that are booked on somebody else's account.
    """

    part: Part
    rows: int
    verdict: Verdict
    note: str = ""
    other: bool = False


@dataclass(frozen=True)
class Cut:
    """A file of which rows go: which, and their keys, as far as the table has them."""

    part: Part
    going: Mask
    keys: pa.Table

    @property
    def rows(self) -> int:
        return int(self.going.sum())


@dataclass
class Selection:
    """All that was judged: groups of every table, and what goes.

    Of a judgement that is limited, groups are of what has a clock of its own; what goes with a payment is among the cuts only.
    """

    basis: Basis
    only: Only | None = None
    groups: list[Group] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)

    def add(self, part: Part, judged: Sequence[Group], going: Mask | None, keys: pa.Table | None = None) -> None:
        """Take in what was found of a file."""
        self.groups += judged
        if going is not None and going.any():
            self.cuts.append(Cut(part, going, pa.table({}) if keys is None else keys.filter(pa.array(going))))

    def of(self, contract: TableContract) -> list[Cut]:
        """What goes of a table."""
        return [cut for cut in self.cuts if cut.part.contract is contract]


def select(lake: Lake, on: Basis, only: Only | None = None) -> Selection:
    """Judge every table of the lake; with ``only`` no more of them than that, by the same rules."""
    found = Selection(on, only)
    held_days = _accepted(lake, found)
    ids = _column(found.of(SILVER), "transaction_id")
    _not_accepted(lake, found)
    _with_transaction(lake, found, SCORES, ids, {cut.part.day for cut in found.of(SILVER)})
    _duplicates(lake, found, ids)
    _with_transaction(lake, found, FEEDBACK, ids, {None})
    _bronze(lake, found)
    for contract in (ACCOUNT_DAILY, ALERTS):
        for part in _parts(lake, found, contract):
            _of_accounts(lake, found, part, held_days)
    if only is not None:  # nothing else is of one person, or is ever deleted
        return found
    for contract in BY_DAY:
        for part in parts(lake, contract):
            judged, going = _whole(on, part, held_days.get(part.day, ()))
            found.add(part, judged, going)
    _left(lake, found)
    return found


def parts(lake: Lake, contract: TableContract) -> list[Part]:
    """The files of a table, by day; none where the lake never had the table."""
    if not has(lake, contract):
        return []
    found = []
    for action in pa.table(lake.table(contract).get_add_actions()).to_pylist():
        partition = {name: None if value is None else str(value) for name, value in (action.get("partition") or {}).items()}
        texts = [value for name, value in partition.items() if name.endswith("_date") and value is not None]
        day = date.fromisoformat(texts[0]) if texts else None
        found.append(Part(contract, action["path"], partition, day, action["num_records"], action["size_bytes"]))
    return sorted(found, key=lambda part: (part.day or date.min, part.path))


def _parts(lake: Lake, found: Selection, contract: TableContract) -> list[Part]:
    """The files of a table that may have what is judged; of silver also those of days whose figures are: holds on these stand on those."""
    names = (contract.path, ACCOUNT_DAILY.path) if contract is SILVER else (contract.path,)
    days = None if found.only is None else {day for name in names for day in found.only.days.get(name, ())}
    return [part for part in parts(lake, contract) if days is None or part.day is None or part.day in days]


def _accepted(lake: Lake, found: Selection) -> dict[date | None, tuple[int, ...]]:
    """Judge silver; by booking date, the holds on runs that stand on rows of it: what was made of that day is held, too."""
    held_days: dict[date | None, tuple[int, ...]] = {}
    run_holds = of_kind(found.basis.holds, Kind.RUN)
    for part in _parts(lake, found, SILVER):
        if found.only is None and not _due(found.basis, part) and not run_holds:
            found.add(part, *_whole(found.basis, part))
            continue
        rows = _read(lake, part, ("sort_code", "account_number", "payer", "payee", *_KEYS))
        holds = _masks(found.basis, part, rows)
        found.add(part, *_of_sides(found, part, rows, holds), rows.select(_KEYS))
        numbers = {number for of in run_holds.values() for number in of}
        standing_here = tuple(number for number, mask in holds.items() if number in numbers and mask.any())
        if standing_here:
            held_days[part.day] = tuple(sorted({*held_days.get(part.day, ()), *standing_here}))
    return held_days


def _of_sides(found: Selection, part: Part, rows: pa.Table, holds: Mapping[int, Mask]) -> tuple[list[Group], Mask]:
    """Judge a file of silver; of a limited judgement its payments on the person's own accounts, and then on those of others."""
    accounts = _accounts(rows)
    if found.only is None:
        return _judged(found.basis, part, accounts, holds)
    mine, own = found.only.at(rows), found.only.of(accounts)
    booked, going = _judged(found.basis, part, accounts, holds, mine & own)
    others, going_too = _judged(found.basis, part, accounts, holds, mine & ~own)
    return [*booked, *(replace(group, other=True) for group in others)], going | going_too


def _not_accepted(lake: Lake, found: Selection) -> None:
    """Judge quarantine: by the day of ingestion; any hold on an account stands on all of it, for whose a record is cannot be relied on."""
    decided = {(item.source_sha256, item.record_number) for item in (one.item for one in kept.decisions(lake))}
    for part in _parts(lake, found, QUARANTINE):
        judged, whole = _whole(found.basis, part, _of_any_account(found.basis))
        if whole is None and found.only is None:
            found.add(part, judged, None)
            continue
        rows = _read(lake, part, (*_KEYS, "reasons"))
        mine = None if found.only is None else found.only.at(rows)
        if whole is None:
            found.add(part, [replace(group, rows=part.rows if mine is None else int(mine.sum())) for group in judged], None)
            continue
        judged, going = _judged(found.basis, part, None, _masks(found.basis, part, rows), mine)
        if going.any() and decided:
            places = zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), strict=True)
            stay = going & np.array([place in decided for place in places], np.bool_)
            going = going & ~stay
            judged = _split(judged, int(stay.sum()), "decisions were made about it")
        found.add(part, judged, going, rows)


def _split(judged: Sequence[Group], stay: int, note: str) -> list[Group]:
    """Of what goes, so many rows stay for a reason."""
    (one,) = [group for group in judged if group.verdict.fate.goes]
    others = [group for group in judged if group is not one]
    parts = [Group(one.part, one.rows - stay, one.verdict), Group(one.part, stay, one.verdict, note)]
    return others + [group for group in parts if group.rows]


def _with_transaction(lake: Lake, found: Selection, contract: TableContract, ids: pa.ChunkedArray, days: set[date | None]) -> None:
    """What is about a payment goes with it."""
    columns = [name for name in (*_KEYS, "loaded_by") if name in contract.schema.names]
    for part in _parts(lake, found, contract):
        going = None
        rows = None
        if len(ids) and part.day in days:
            rows = _read(lake, part, columns)
            going = np.asarray(pc.is_in(rows["transaction_id"], value_set=ids).to_numpy(), np.bool_)
        found.add(part, _following(found, part, going), going, rows)


def _duplicates(lake: Lake, found: Selection, ids: pa.ChunkedArray) -> None:
    """A duplicate goes with the transaction that it repeats; where that had gone before it came, by the day of ingestion."""
    for part in _parts(lake, found, DUPLICATES):
        holds = _of_any_account(found.basis)
        _, alone = _whole(found.basis, part, holds)
        if not len(ids) and alone is None:
            found.add(part, _following(found, part, None), None)
            continue
        rows = _read(lake, part, _KEYS)
        going = np.asarray(pc.is_in(rows["transaction_id"], value_set=ids).to_numpy(), np.bool_)
        if alone is not None:
            going = going | ~_in_silver(lake, rows["transaction_id"])
        going = going & ~_of_held_runs(found.basis, rows)
        going = going if found.only is None else going & found.only.at(rows)
        found.add(part, _following(found, part, going), going, rows)


def _in_silver(lake: Lake, ids: pa.ChunkedArray) -> Mask:
    silver = lake.table(SILVER).to_pyarrow_dataset().to_table(columns=["transaction_id"])["transaction_id"]
    return np.asarray(pc.is_in(ids, value_set=silver).to_numpy(), np.bool_)


def _bronze(lake: Lake, found: Selection) -> None:
    """A record as it came goes when it goes from the table where it ended, unless it is in quarantine still."""
    gone: dict[str, list[npt.NDArray[np.int64]]] = {}
    for contract in (SILVER, DUPLICATES, QUARANTINE):
        for cut in found.of(contract):
            for sha256, numbers in by_source(cut.keys).items():
                gone.setdefault(sha256, []).append(numbers)
    if gone:
        going_there = {(cut.part.path): cut.going for cut in found.of(QUARANTINE)}
        for part in parts(lake, QUARANTINE):
            rows = _read(lake, part, ("source_sha256", "record_number"))
            stays = rows.filter(pa.array(~going_there[part.path])) if part.path in going_there else rows
            for sha256, numbers in by_source(stays).items():
                if sha256 in gone:
                    gone[sha256] = [np.setdiff1d(np.concatenate(gone[sha256]), numbers)]
    days = _loaded_on(lake, gone)
    for part in parts(lake, BRONZE):
        going = None
        if part.day in days:
            rows = _read(lake, part, ("source_sha256", "record_number", "run_id"))
            going = np.zeros(part.rows, np.bool_)
            numbers = np.asarray(rows["record_number"].to_numpy())
            for sha256, places in _places(rows["source_sha256"]).items():
                if sha256 in gone:
                    going[places] = np.isin(numbers[places], np.concatenate(gone[sha256]))
            going &= ~_of_held_runs(found.basis, rows)
        found.add(part, _following(found, part, going), going)


def by_source(rows: pa.Table) -> dict[str, npt.NDArray[np.int64]]:
    """By landing file, the numbers of the records in some rows."""
    numbers = np.asarray(rows["record_number"].to_numpy())
    return {sha256: numbers[places] for sha256, places in _places(rows["source_sha256"]).items()}


def _places(texts: pa.ChunkedArray) -> dict[str, npt.NDArray[np.int64]]:
    """By text, where it stands."""
    encoded = texts.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    which = np.asarray(encoded.indices)
    order = np.argsort(which, kind="stable")
    cuts = np.searchsorted(which[order], np.arange(1, len(encoded.dictionary)))
    return dict(zip(encoded.dictionary.to_pylist(), np.split(order, cuts), strict=False))


def _loaded_on(lake: Lake, sources: Mapping[str, object]) -> set[date]:
    """The days on which these landing files were loaded: where bronze has their records."""
    if not sources:
        return set()
    found = set()
    for row in runs.runs(lake):
        if any(file["sha256"] in sources and file["status"] == "loaded" for file in json.loads(row["certificate"])["files"]):
            found.add(row["started_at"].date())
    return found


def _of_accounts(lake: Lake, found: Selection, part: Part, held_days: Mapping[date | None, tuple[int, ...]]) -> None:
    """Judge a table whose rows are each an account's."""
    if found.only is None and not _due(found.basis, part):
        found.add(part, *_whole(found.basis, part))
        return
    names = ("account", "raised_by", "run_id") if part.contract is ALERTS else ("sort_code", "account_number")
    rows = _read(lake, part, names)
    accounts = _accounts(rows)
    holds = _masks(found.basis, part, rows, accounts)
    if part.contract is ACCOUNT_DAILY:
        holds |= {number: np.ones(part.rows, np.bool_) for number in held_days.get(part.day, ())}
    found.add(part, *_judged(found.basis, part, accounts, holds, None if found.only is None else found.only.of(accounts)))


def _whole(on: Basis, part: Part, holds: Sequence[int] = ()) -> tuple[list[Group], Mask | None]:
    """Judge a file as one, as if nothing were known of its customers."""
    numbers = tuple(sorted({*holds, *(hold.number for hold in on.holds if hold.covers(_day(part), at_latest=_by_ingestion(part)))}))
    rules = rules_of(part.contract, on.on, on.rules)
    verdict = decide(rules, Known(_day(part)), on.on, personal=is_personal(part.contract), holds=numbers)
    return [Group(part, part.rows, verdict)], np.ones(part.rows, np.bool_) if verdict.fate.goes else None


def _judged(
    on: Basis, part: Part, accounts: pa.ChunkedArray | None, holds: Mapping[int, Mask], only: Mask | None = None
) -> tuple[list[Group], Mask]:
    """Judge a file row by row: a verdict an account (one for all if None), and the holds that stand on some of its rows.

    ``only``: these rows, and no others.
    """
    going, groups = np.zeros(part.rows, np.bool_), []
    held = np.logical_or.reduce([np.zeros(part.rows, np.bool_), *holds.values()])
    for verdict, of_verdict in _verdicts(on, part, accounts):
        mine = of_verdict if only is None else of_verdict & only
        goes = mine & ~held & verdict.fate.goes
        stopped = mine & held
        numbers = tuple(number for number, mask in holds.items() if (mask & mine).any())
        going |= goes
        fate = Fate.HELD if verdict.fate.goes else verdict.fate
        groups += [Group(part, int((mine & ~held).sum()), verdict), Group(part, int(stopped.sum()), _with(verdict, fate, numbers))]
    return [group for group in groups if group.rows], going


def _with(verdict: Verdict, fate: Fate, holds: tuple[int, ...]) -> Verdict:
    return Verdict(fate, verdict.until, verdict.rule, holds)


def _verdicts(on: Basis, part: Part, accounts: pa.ChunkedArray | None) -> Iterator[tuple[Verdict, Mask]]:
    """Each verdict, without holds, and the rows that it is about."""
    judge = _judge(on, part)
    if accounts is None:
        yield judge(None), np.ones(part.rows, np.bool_)
        return
    encoded = accounts.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    found: dict[Verdict, list[int]] = {}
    for place, account in enumerate(encoded.dictionary.to_pylist()):
        found.setdefault(judge(account), []).append(place)
    which = np.asarray(encoded.indices)
    for verdict, places in found.items():
        yield verdict, np.isin(which, places)


def _judge(on: Basis, part: Part) -> Callable[[str | None], Verdict]:
    """What is decided, without holds, of an account's rows in a file; None is an account of which nothing is known."""
    rules = {occasional: rules_of(part.contract, on.on, on.rules, occasional=occasional) for occasional in (False, True)}
    personal, made = is_personal(part.contract), _day(part)

    @cache  # customers are many, days on which relationships ended are few
    def decided(occasional: bool, ended: date | None) -> Verdict:
        return decide(rules[occasional], Known(made, ended), on.on, personal=personal)

    def judge(account: str | None) -> Verdict:
        known = None if account is None else on.relationships.accounts.get(account)
        return decided(known is not None and known.occasional, known.ended if known else None)

    return judge


def _following(found: Selection, part: Part, going: Mask | None) -> list[Group]:
    """Groups of a file whose rows go with others."""
    if found.only is not None:
        return []
    rules = rules_of(part.contract, found.basis.on, found.basis.rules)
    rule = next((one for one in rules if one.name == CUSTOMERS), rules[0])
    count = 0 if going is None else int(going.sum())
    stays, goes = Verdict(Fate.KEPT, None, rule), Verdict(Fate.MUST_GO, found.basis.on, rule)
    groups = [Group(part, part.rows - count, stays, "goes with its transaction"), Group(part, count, goes)]
    return [group for group in groups if group.rows]


def _left(lake: Lake, found: Selection) -> None:
    """The tables of which nothing is deleted."""
    for contract in (SHADOW_SCORES, CORRECTIONS, RUNS, AUDIT):
        for part in parts(lake, contract):
            rule = rules_of(contract, found.basis.on, found.basis.rules)[0]
            found.add(part, [Group(part, part.rows, Verdict(Fate.KEPT, None, rule), LEFT[contract.path])], None)


def _day(part: Part) -> date:
    if part.day is None:
        raise LakeDamaged(f"the file {part.path} of {part.contract.path} is in no day's partition; restore the table")
    return part.day


def _by_ingestion(part: Part) -> bool:
    """Whether a partition's records may be about any day before its own."""
    return "ingest_date" in part.contract.partition_by


def _due(on: Basis, part: Part) -> bool:
    """Whether anything in a file could be due, whoever its customers are."""
    every = [rules_of(part.contract, on.on, on.rules, occasional=occasional) for occasional in (False, True)]
    first = min(soonest(rules, _day(part)) for rules in every) if on.relationships.accounts else None
    if first is not None:
        return first <= on.on
    (group,), _ = _whole(on, part)
    return group.verdict.fate is not Fate.KEPT


def _read(lake: Lake, part: Part, columns: Sequence[str]) -> pa.Table:
    """Columns of one file; LakeDamaged if it cannot be read or has other rows than its table says."""
    path = f"{part.contract.path}/{part.path}"
    try:
        with lake.storage.arrow_file(path) as file, pq.ParquetFile(file) as parquet:
            rows: pa.Table = parquet.read(columns=list(columns), use_threads=False).select(list(columns))
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(f"{lake.storage.uri(path)} cannot be read: {error}; restore the file first") from None
    if rows.num_rows != part.rows:
        raise LakeDamaged(
            f"{lake.storage.uri(path)} has {rows.num_rows} rows and not {part.rows}, as its table says; restore the file first"
        )
    return rows


def _accounts(rows: pa.Table) -> pa.ChunkedArray:
    if "account" in rows.column_names:
        return rows["account"]
    return pc.binary_join_element_wise(rows["sort_code"], rows["account_number"], "-")


def _of_any_account(on: Basis) -> tuple[int, ...]:
    return tuple(number for of in of_kind(on.holds, Kind.ACCOUNT).values() for number in of)


def _masks(on: Basis, part: Part, rows: pa.Table, accounts: pa.ChunkedArray | None = None) -> dict[int, Mask]:
    """By number of a hold, the rows of a file on which it stands."""
    found: dict[int, Mask] = {}
    for hold in on.holds:
        mask = np.full(part.rows, hold.covers(_day(part), at_latest=_by_ingestion(part)))
        columns = {Kind.ACCOUNT: ("payer", "payee"), Kind.RUN: ("run_id", "raised_by"), Kind.PERIOD: ()}[hold.kind]
        texts = [rows[name] for name in columns if name in rows.column_names]
        if hold.kind is Kind.ACCOUNT and accounts is not None:
            texts.append(accounts)
        for column in texts:
            mask = mask | np.asarray(pc.fill_null(pc.equal(column, hold.about), False).to_numpy(), np.bool_)
        if mask.any():
            found[hold.number] = mask
    return found


def _of_held_runs(on: Basis, rows: pa.Table) -> Mask:
    """The rows that a run wrote on which a hold stands."""
    held = pc.is_in(rows["run_id"], value_set=pa.array(list(of_kind(on.holds, Kind.RUN)), pa.string()))
    return np.asarray(held.to_numpy(), np.bool_)


def _column(cuts: Sequence[Cut], name: str) -> pa.ChunkedArray:
    chunks = [chunk for cut in cuts for chunk in cut.keys[name].chunks]
    return pa.chunked_array(chunks, pa.string())
