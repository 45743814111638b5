"""Everything that a lake holds on a person, found by their accounts and IBANs; and what of it must be kept until when.

The judgement is that of retention (``pipelines.retention.select``), limited to the records that were found. Landing files and the service's
journal are found by their records; what bytes of theirs stay, though the rows went, is known from the certificates of erasures.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.erasure import Holding, Side
from app.compliance.legal_holds import Hold, Kind
from app.compliance.masking import token, token_key
from app.compliance.retention import Fate, Known, Verdict, decide, is_personal, rules_of
from app.contracts.lake import ACCOUNT_DAILY, ALERTS, BRONZE, CORRECTIONS, DUPLICATES, FEEDBACK, QUARANTINE, SCORES, SHADOW_SCORES, SILVER
from app.contracts.party import account_in
from app.contracts.table import TableContract
from app.errors import LakeNotFound, UsageError
from app.lake import layout, runs
from app.lake.lake import Lake, has
from app.lake.relationships import Relationship
from app.validation.identifier import checked
from pipelines.found import Finder, equal, finder
from pipelines.retention import LEFT, Basis, Only, Selection, by_source, select
from pipelines.retention_run import deleted_of, files_emptied

Row = dict[str, Any]

PAYMENTS: Final = "journal/payments"
ANSWERS: Final = "journal/decisions"
_FOLLOWING: Final = (BRONZE, SCORES, DUPLICATES, FEEDBACK)
_JUDGED: Final = (SILVER, QUARANTINE, ACCOUNT_DAILY, ALERTS)
_KEPT_APART: Final = (CORRECTIONS, SHADOW_SCORES)
_DAYS: Final = {
    BRONZE.path: "ingest_date",
    SILVER.path: "booking_date",
    QUARANTINE.path: "ingest_date",
    DUPLICATES.path: "ingest_date",
    ACCOUNT_DAILY.path: "booking_date",
    ALERTS.path: "fired_date",
    SCORES.path: "booking_date",
    FEEDBACK.path: "imported_at",
    CORRECTIONS.path: "decided_at",
    SHADOW_SCORES.path: "scored_at",
}
_PLACE: Final = ["source_sha256", "record_number"]
_BYTES_STAY: Final = "the bytes of a landing file go with the last of its records"
_FOLLOW: Final = "goes with its payment, or with its record in quarantine"
_ANSWERS_STAY: Final = "this version deletes nothing of the service's decisions"


class Subjects(Protocol):
    """The key store of a sealed lake."""

    @property
    def backup_days(self) -> int:
        """How long a backup of the key store is kept, in days."""
        ...

    def token(self, identifier: str) -> str | None:
        """The party with this identifier as tables write it; None if it is nobody's."""
        ...

    def related(self, identifier: str) -> list[str]:
        """Other identifiers of the same account: GB IBANs that have it in them."""
        ...

    def pseudonym(self, text: str) -> str:
        """A keyed hash of an identifier, for records of what was done about it."""
        ...

    def destroy(self, identifiers: Sequence[str]) -> None:
        """Destroy the keys of these, all of them known, for good; under the lake's lock."""
        ...


def subjects_of(lake: Lake) -> Subjects | None:
    """The key store of a sealed lake; None if the lake is plain."""
    found: Subjects | None = getattr(lake, "subjects", None)
    return found


@dataclass(frozen=True)
class Person:
    """Who is asked about: identifiers, how the tables write them, and pseudonyms for what is written down about it.

    ``known`` are identifiers that the tables, or the key store of a sealed lake, may have; the others of a sealed lake are erased or never
    were there.
    """

    identifiers: tuple[str, ...]
    known: tuple[str, ...]
    parties: tuple[str, ...]
    pseudonyms: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the audit trail calls the person: by the pseudonym of the first account, if one is known."""
        named = dict(zip(self.identifiers, self.pseudonyms, strict=True))
        return f"subject {next((name for one, name in named.items() if '-' in one), self.pseudonyms[0])}"

    @property
    def accounts(self) -> list[tuple[str, str]]:
        """Sort code and account number of each party that has them."""
        return [(code, number) for code, dash, number in (party.partition("-") for party in self.parties) if dash]

    @property
    def ibans(self) -> list[str]:
        return [party for party in self.parties if "-" not in party]


def person_of(lake: Lake, texts: Sequence[str], subjects: Subjects | None) -> Person:
    """The person with these accounts and IBANs, as somebody has typed them; UsageError for one that can be none."""
    given = [checked(text) for text in texts]
    identifiers = tuple(dict.fromkeys(one for text in given for one in (text, account_in(text)) if one is not None))
    if subjects is None:
        return Person(identifiers, identifiers, identifiers, tuple(token(one.encode(), token_key(lake.key)) for one in identifiers))
    known = dict.fromkeys(other for one in identifiers for other in (one, *subjects.related(one)))
    tokens = {one: found for one in known if (found := subjects.token(one)) is not None}
    return Person(identifiers, tuple(tokens), tuple(dict.fromkeys(tokens.values())), tuple(map(subjects.pseudonym, identifiers)))


@dataclass
class Found:
    """What a lake holds on a person: rows of tables by path, and lines of the service's journal, each with the segment it is in."""

    person: Person
    rows: dict[str, pa.Table] = field(default_factory=dict)
    lines: dict[str, list[tuple[Path, Row]]] = field(default_factory=dict)

    def of(self, contract: TableContract) -> pa.Table:
        return self.rows[contract.path]

    def places(self) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
        """By landing file, the numbers of the records."""
        tables = [self.of(contract).select(_PLACE) for contract in (BRONZE, SILVER, QUARANTINE)]
        return {sha256: np.unique(numbers) for sha256, numbers in by_source(pa.concat_tables(tables).combine_chunks()).items()}

    def only(self) -> Only:
        """The limit of a judgement."""
        days = {path: frozenset(self.rows[path][name].to_pylist()) for path, name in _DAYS.items() if path in self.rows}
        return Only(self.person.pseudonyms, self.person.parties, self.places(), days)

    def is_nothing(self) -> bool:
        return not any(table.num_rows for table in self.rows.values()) and not any(self.lines.values())


def find(lake: Lake, person: Person, journal: Path | None = None) -> Found:
    """Look through the tables as the last run left them, and through the service's journal; LakeDamaged if a file cannot be read."""
    found = Found(person)
    with finder(lake) as look:
        found.rows[SILVER.path] = _silver(look, person)
        found.rows[BRONZE.path] = _bronze(look, person)
        found.rows[QUARANTINE.path] = _quarantine(look, found)
        found.rows[DUPLICATES.path] = _placed(lake, DUPLICATES, found)
        for contract, column in ((ACCOUNT_DAILY, "account_number"), (ALERTS, "account")):
            found.rows[contract.path] = _of_accounts(look, contract, column, person)
    ids = found.of(SILVER)["transaction_id"]
    for contract in (SCORES, FEEDBACK, SHADOW_SCORES):
        found.rows[contract.path] = _with_ids(lake, contract, ids)
    found.rows[CORRECTIONS.path] = _decided(lake, found)
    found.lines = _journalled(journal, person, {*ids.to_pylist()}) if journal is not None else {}
    return found


def journal_of(lake: Lake, named: Path | None) -> Path | None:
    """The service's journal: the one that is named, or that of a local lake, if it is there."""
    if named is not None:
        if not named.is_dir():
            raise UsageError(f"there is no journal at {named}")
        return named
    there = lake.storage.local_path("journal") if lake.storage.is_local else None
    return there if there is not None and there.is_dir() else None


def _silver(look: Finder, person: Person) -> pa.Table:
    """One scan a column and party: DuckDB holds an equality against a file's dictionary, and reads every row for an "or"."""
    sought = [(name, party) for name in ("payer", "payee") for party in person.parties]
    sought += [("counterparty_iban", iban) for iban in person.ibans]
    return _once(SILVER, [look.rows(SILVER, equal(name, value)) for name, value in sought])


def _bronze(look: Finder, person: Person) -> pa.Table:
    """The records as they came: sort codes and IBANs may be written with blanks and hyphens there."""
    parts = []
    for code, number in person.accounts:
        for code_column, number_column in (("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account")):
            rows = look.rows(BRONZE, equal(number_column, number))
            parts.append(rows.filter(pc.equal(pc.replace_substring_regex(rows[code_column], "[ -]", ""), code)))
        iban = duckdb.FunctionExpression("replace", duckdb.ColumnExpression("counterparty_iban"), _text(" "), _text(""))
        parts.append(look.rows(BRONZE, duckdb.FunctionExpression("suffix", iban, _text(code + number))))
    for iban_sought in person.ibans:
        iban = duckdb.FunctionExpression("replace", duckdb.ColumnExpression("counterparty_iban"), _text(" "), _text(""))
        parts.append(look.rows(BRONZE, iban == _text(iban_sought)))
    return _once(BRONZE, parts)


def _text(value: str) -> duckdb.Expression:
    return duckdb.ConstantExpression(value)


def _once(contract: TableContract, parts: Sequence[pa.Table]) -> pa.Table:
    """All rows, each record once."""
    rows = pa.concat_tables([contract.schema.empty_table(), *parts], promote_options="permissive").combine_chunks()
    places = dict.fromkeys(zip(*(rows[name].to_pylist() for name in _PLACE), strict=True))
    seen: dict[tuple[str, int], int] = {}
    for row, place in enumerate(zip(*(rows[name].to_pylist() for name in _PLACE), strict=True)):
        seen.setdefault(place, row)
    return rows.take(pa.array([seen[place] for place in places], pa.int64()))


def _quarantine(look: Finder, found: Found) -> pa.Table:
    """Records that were not accepted: those that bronze could read are theirs by their accounts, the others if they name one."""
    raw = duckdb.ColumnExpression("raw_record").cast("VARCHAR")
    numbers = [number for _, number in found.person.accounts] + [iban[:4] for iban in found.person.ibans]
    rows = [look.rows(QUARANTINE, duckdb.FunctionExpression("contains", raw, _text(number))) for number in dict.fromkeys(numbers)]
    named = [part.filter(pa.array([mentions(raw, found.person) for raw in part["raw_record"].to_pylist()], pa.bool_())) for part in rows]
    return _once(QUARANTINE, [*named, _placed(look.lake, QUARANTINE, found)])


def mentions(raw: bytes, person: Person) -> bool:
    """Whether a record that could not be read names one of the accounts: sort code and number, or an IBAN, as people write them."""
    plain = re.sub(rb"(?<=[0-9A-Za-z]) (?=[0-9A-Za-z])", b"", raw)
    for code, number in person.accounts:
        codes = (code, f"{code[:2]}-{code[2:4]}-{code[4:]}", f"{code[:2]} {code[2:4]} {code[4:]}")
        if number.encode() in raw and any(one.encode() in raw for one in codes):
            return True
    return any(iban.encode() in plain for iban in person.ibans)


def _placed(lake: Lake, contract: TableContract, found: Found) -> pa.Table:
    """Rows of a table that are the records that bronze has of the person."""
    bronze = found.of(BRONZE)
    near = [pc.field(name).isin(pc.unique(bronze[name])) for name in _PLACE]
    rows = lake.table(contract).to_pyarrow_dataset().to_table(filter=near[0] & near[1]).select(contract.schema.names)
    places = set(zip(*(bronze[name].to_pylist() for name in _PLACE), strict=True))
    mine = [place in places for place in zip(*(rows[name].to_pylist() for name in _PLACE), strict=True)]
    return _once(contract, [rows.filter(pa.array(mine, pa.bool_()))])


def _of_accounts(look: Finder, contract: TableContract, column: str, person: Person) -> pa.Table:
    if column == "account":
        parts = [look.rows(contract, equal(column, party)) for party in person.parties]
    else:
        rows = [(code, look.rows(contract, equal(column, number))) for code, number in person.accounts]
        parts = [part.filter(pc.equal(part["sort_code"], code)) for code, part in rows]
    return pa.concat_tables([contract.schema.empty_table(), *parts], promote_options="permissive")


def _with_ids(lake: Lake, contract: TableContract, ids: pa.ChunkedArray) -> pa.Table:
    if not len(ids) or not has(lake, contract):
        return contract.schema.empty_table()
    chosen = pc.field("transaction_id").isin(ids.combine_chunks())
    return lake.table(contract).to_pyarrow_dataset().to_table(filter=chosen).select(contract.schema.names)


def _decided(lake: Lake, found: Found) -> pa.Table:
    """What reviewers decided about the records in quarantine."""
    places = set(zip(*(found.of(QUARANTINE)[name].to_pylist() for name in _PLACE), strict=True))
    if not places or not has(lake, CORRECTIONS):
        return CORRECTIONS.schema.empty_table()
    rows = lake.table(CORRECTIONS).to_pyarrow_table()
    mine = [place in places for place in zip(*(rows[name].to_pylist() for name in _PLACE), strict=True)]
    return rows.filter(pa.array(mine, pa.bool_()))


def _journalled(journal: Path, person: Person, ids: set[str]) -> dict[str, list[tuple[Path, Row]]]:
    """Lines of the service's journal: payments of the person, and what was answered about these and those in silver."""
    payments = [(path, line) for path, line in _lines(journal / "payments") if _is_of(line, person)]
    known = ids | {str(line.get("transaction_id")) for _, line in payments}
    answers = [(path, line) for path, line in _lines(journal / "decisions") if str(line.get("transaction_id")) in known]
    return {PAYMENTS: payments, ANSWERS: answers}


def _lines(folder: Path) -> Iterator[tuple[Path, Row]]:
    for path in sorted(folder.glob("*.ndjson")):
        for line in path.read_bytes().splitlines():
            try:
                said = json.loads(line)
            except ValueError:  # the line in whose middle a process died, or no JSON: then the lake has it in quarantine, once it is loaded
                continue
            if isinstance(said, dict):
                yield path, said


def _is_of(line: Mapping[str, Any], person: Person) -> bool:
    said = {name: re.sub("[ -]", "", str(value)) for name, value in line.items() if value is not None}
    iban = said.get("counterparty_iban", "")
    pairs = (("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account"))
    theirs = {(said.get(code), said.get(number)) for code, number in pairs}
    return not theirs.isdisjoint(person.accounts) or iban in person.ibans or account_in(iban) in person.parties


def holdings(lake: Lake, found: Found, on: Basis) -> list[Holding]:
    """All that was found, with what the clocks and holds say of it."""
    selection = select(lake, on, found.only())
    history = runs.runs(lake)
    emptied = set(files_emptied(history, deleted_of(history, selection)))
    held = [*_with_clocks(selection), *_following(found, selection), *_apart(found, on)]
    held += _files(lake, found, selection, history, emptied)
    return [one for one in held if one.rows]


def _with_clocks(selection: Selection) -> list[Holding]:
    """What has a clock of its own, by table, side and verdict."""
    found: dict[tuple[str, Side, Verdict, str], tuple[int, list[date]]] = {}
    for group in selection.groups:
        path = group.part.contract.path
        booked = path in (SILVER.path, ACCOUNT_DAILY.path)
        side = Side.ABOUT if not booked else Side.OTHER if group.other else Side.BOOKED
        rows, days = found.get((path, side, group.verdict, group.note), (0, []))
        if group.rows:
            found[path, side, group.verdict, group.note] = (rows + group.rows, [*days, *([group.part.day] if group.part.day else [])])
    return [
        Holding(path, side, rows, min(days), max(days), verdict, stays=note) for (path, side, verdict, note), (rows, days) in found.items()
    ]


def _following(found: Found, selection: Selection) -> list[Holding]:
    """What goes with a payment or a record: how much of it goes, and how much stays."""
    made = []
    for contract in _FOLLOWING:
        rows = found.of(contract)
        going = sum(cut.rows for cut in selection.of(contract))
        for count, goes in ((going, True), (rows.num_rows - going, False)):
            if count > 0:
                first, last = _span(rows, contract)
                made.append(_follower(contract, contract.path, count, (first, last), selection.basis, "", goes=goes))
    return made


def _follower(contract: TableContract, path: str, count: int, days: tuple[date, date], on: Basis, stays: str, *, goes: bool) -> Holding:
    """Rows of a table that go with others; of what stays the verdict is that of the longest time that it may."""
    rules = rules_of(contract, on.on, on.rules)
    if goes:
        verdict = Verdict(Fate.MUST_GO, on.on, rules[0])
        return Holding(path, Side.ABOUT, count, *days, verdict, follows=True, stays=stays)
    verdict = decide(rules, Known(days[1]), on.on, personal=is_personal(contract))
    return Holding(path, Side.ABOUT, count, *days, verdict, follows=True, stays=_FOLLOW if verdict.fate.goes else "")


def _span(rows: pa.Table, contract: TableContract) -> tuple[date, date]:
    values = [value.date() if isinstance(value, datetime) else value for value in rows[_DAYS[contract.path]].to_pylist()]
    return min(values), max(values)


def _apart(found: Found, on: Basis) -> list[Holding]:
    """Rows of tables of which no run deletes anything: each by its own clock, and why they stay when it has run out."""
    holds = tuple(hold.number for hold in holds_on(on, found.person) if hold.kind is Kind.ACCOUNT)
    known = relationships_of(on, found.person)
    ended = next((one.ended for one in known.values()), None)
    made = []
    for contract in _KEPT_APART:
        rules = rules_of(contract, on.on, on.rules, occasional=any(one.occasional for one in known.values()))
        for value in found.of(contract)[_DAYS[contract.path]].to_pylist():
            verdict = decide(rules, Known(value.date(), ended), on.on, personal=is_personal(contract), holds=holds)
            stays = LEFT[contract.path] if verdict.fate.goes else ""
            made.append(Holding(contract.path, Side.ABOUT, 1, value.date(), value.date(), verdict, stays=stays))
    return _together(made)


def _together(held: Iterable[Holding]) -> list[Holding]:
    """Holdings with one verdict as one."""
    found: dict[tuple[str, Verdict, str], list[Holding]] = {}
    for one in held:
        found.setdefault((one.table, one.verdict, one.stays), []).append(one)
    return [
        Holding(
            table,
            mine[0].side,
            sum(one.rows for one in mine),
            min((one.first for one in mine if one.first), default=None),
            max((one.last for one in mine if one.last), default=None),
            verdict,
            mine[0].follows,
            stays,
        )
        for (table, verdict, stays), mine in found.items()
    ]


def _files(lake: Lake, found: Found, selection: Selection, history: Sequence[Mapping[str, Any]], emptied: set[str]) -> list[Holding]:
    """Records in the bytes of landing files and of the journal: they go when the last record of the file does."""
    there = {entry.path.rpartition("/")[2] for entry in lake.storage.entries(layout.KEPT_FILES)}
    going = _going(selection)
    made = []
    bronze = found.of(BRONZE)
    days = dict(zip(bronze["source_sha256"].to_pylist(), bronze["ingest_date"].to_pylist(), strict=True))
    days |= dict(zip(*(found.of(QUARANTINE)[name].to_pylist() for name in ("source_sha256", "ingest_date")), strict=True))
    for sha256, numbers in found.places().items():
        if sha256 not in there:
            continue
        day = days.get(sha256, selection.basis.on)
        due = int(np.isin(numbers, going.get(sha256, ())).sum())
        stays = "" if sha256 in emptied else _BYTES_STAY
        made.append(_follower(BRONZE, layout.KEPT_FILES, due, (day, day), selection.basis, stays, goes=True))
        made.append(_follower(BRONZE, layout.KEPT_FILES, len(numbers) - due, (day, day), selection.basis, "", goes=False))
    for _, sha256, records, day in erased_before(history, found.person.pseudonyms):
        if sha256 in there:
            made.append(_follower(BRONZE, layout.KEPT_FILES, records, (day, day), selection.basis, _BYTES_STAY, goes=True))
    made += _of_journal(found, selection.basis, emptied)
    return _together(one for one in made if one.rows)


def _going(selection: Selection) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for contract in (SILVER, DUPLICATES, QUARANTINE):
        for cut in selection.of(contract):
            for sha256, numbers in by_source(cut.keys).items():
                found.setdefault(sha256, []).extend(numbers.tolist())
    return found


def _of_journal(found: Found, on: Basis, emptied: set[str]) -> Iterator[Holding]:
    digests: dict[Path, str] = {}
    for table, lines in found.lines.items():
        for path, line in lines:
            said = str(line.get("timestamp") or line.get("at") or "")[:10]
            try:
                day = date.fromisoformat(said)
            except ValueError:
                day = on.on
            if path not in digests:
                digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            if table == PAYMENTS and digests[path] in emptied:
                yield _follower(BRONZE, table, 1, (day, day), on, "", goes=True)
                continue
            one = _follower(BRONZE, table, 1, (day, day), on, "", goes=False)
            why = _BYTES_STAY if table == PAYMENTS else _ANSWERS_STAY
            yield Holding(one.table, one.side, 1, day, day, one.verdict, follows=True, stays=why if one.verdict.fate.goes else "")


def erased_before(history: Iterable[Mapping[str, Any]], pseudonyms: Sequence[str]) -> Iterator[tuple[str, str, int, date]]:
    """What runs have deleted of a person, by their certificates: run, landing file, how many of its records, and on which day."""
    for row in history:
        document = json.loads(row["certificate"])
        if set(document.get("retention", {}).get("subject", ())).isdisjoint(pseudonyms):
            continue
        for one in document["deleted"]["records"]:
            yield document["run_id"], one["sha256"], int(one["records"]), row["started_at"].date()


def holds_on(on: Basis, person: Person) -> list[Hold]:
    """The holds that stand on the person's accounts."""
    names = {*person.identifiers, *person.known, *person.parties}
    return [hold for hold in on.holds if hold.kind is Kind.ACCOUNT and hold.about in names]


def relationships_of(on: Basis, person: Person) -> dict[str, Relationship]:
    """What is known of the person's relationships, by account."""
    names = dict.fromkeys((*person.identifiers, *person.parties))
    return {name: on.relationships.accounts[name] for name in names if name in on.relationships.accounts}


def nothing() -> LakeNotFound:
    """That nothing is held; it names nobody, since the audit trail keeps it."""
    return LakeNotFound("the lake holds nothing on this person: neither in its tables nor in the service's journal; check the identifier")
