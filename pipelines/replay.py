"""Replay: what reviewers have corrected and approved goes through the very functions that load a file.

It is a run. What it takes from quarantine is, by record and penny, in silver, a duplicate, or still not acceptable; nothing that an
earlier run certified changes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.compliance import certificate as certificates
from app.compliance import corrections
from app.compliance.certificate import FileOutcome
from app.compliance.control_totals import Totals, of_rows, total
from app.compliance.corrections import OUTCOMES, Act, Decision, Item, Standing, State
from app.contracts import landing
from app.contracts.amount_form import AmountForm
from app.contracts.lake import BRONZE, CORRECTIONS, QUARANTINE
from app.errors import LakeDamaged, NotReconciled, ReviewRefused
from app.lake import delta, layout, runs
from app.lake.arrivals import DUPLICATE
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.readers.parsed import Numbers
from app.review import corrections as kept
from app.review import quarantine
from app.settings import Settings
from pipelines import bronze, corrected, plan, publish, reconcile
from pipelines.attempt import Attempt, attempt
from pipelines.boundary import guard
from pipelines.executor import Executor
from pipelines.progress import Observer
from pipelines.publish import Publication, changes
from pipelines.reconcile import Tally
from pipelines.run import Day, make_gold, make_silver, modulus_checks, settle, sources_of, stage_quarantine_daily
from pipelines.work import Ingested, SourceFile

KIND: Final = "replay"
STATUS: Final = "replayed"
_RETURNED_COLUMNS: Final = ["source_sha256", "record_number", "reasons", "amount_minor", "currency"]


@dataclass
class _Replay:
    """A replay's state between its stages."""

    day: Day
    who: str
    before: list[Decision] = field(default_factory=list)
    approved: dict[Item, Standing] = field(default_factory=dict)
    rows: pa.Table = None  # of quarantine: what is taken
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)  # by hash: what a load's certificate says of the file
    outcomes: list[Decision] = field(default_factory=list)

    @property
    def taken(self) -> dict[str, Numbers]:
        """By hash, the numbers of the records that are taken."""
        found: dict[str, list[int]] = {}
        for item in sorted(self.approved):
            found.setdefault(item.source_sha256, []).append(item.record_number)
        return {sha256: np.array(numbers, dtype=np.int64) for sha256, numbers in found.items()}


def replay(
    storage: Storage, settings: Settings, executor: Executor, who: str, observer: Observer, now: datetime | None = None
) -> dict[str, Any]:
    """Carry out every approved correction of the lake at ``storage``; returns the run's certificate.

    Raises ReviewRefused if none is approved, LakeBusy if another run holds the lake. A replay whose totals do not reconcile publishes
    nothing but its certificate, which then says ``failed``.
    """
    open_lake(storage)
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(_Replay(Day(begun, executor), who)))


def _prepare(doing: _Replay) -> Publication:
    """Every stage up to the point of no return."""
    day = doing.day
    _take(doing)
    _judge(doing)
    settle(day)
    make_silver(day)
    _decide(doing)
    tally = Tally({sha256: doing.loaded[sha256]["records"] for sha256 in doing.taken}, doing.taken)
    make_gold(day, tally)
    try:
        outcomes = _reconcile(doing, tally)
    except NotReconciled as error:
        publish.undo(day.run.lake, day.run.run_id)
        return _failed(day.attempt, str(error))
    stage_quarantine_daily(day, [*doing.before, *doing.outcomes])
    return day.attempt.publication(changes(day.staged, day.removed), _certificate(doing, outcomes), day.retired)


def _take(doing: _Replay) -> None:
    """Find what is approved, and lay the new values over the texts as they came."""
    run = doing.day.run
    with doing.day.stages.stage("corrections"):
        doing.before = kept.decisions(run.lake)
        standings = corrections.standings(kept.opened(run.lake, doing.before))
        doing.approved = {item: one for item, one in standings.items() if one.state is State.APPROVED}
        if not doing.approved:
            raise ReviewRefused("no correction is approved: there is nothing to replay; `leofric quarantine list` shows what waits")
        doing.loaded = runs.files_loaded(doing.day.history)
        every = quarantine.records(run.lake)
        wanted = [State.APPROVED is state for state in quarantine.states(every, standings)]
        doing.rows = every.filter(pa.array(wanted, pa.bool_()))
        texts = corrected_texts(quarantine.originals(run.lake, doing.rows), doing.rows, doing.approved)
        uris = dict(zip(doing.rows["source_sha256"].to_pylist(), doing.rows["source_uri"].to_pylist(), strict=True))
        for number, (sha256, uri) in enumerate(sorted(uris.items(), key=lambda pair: pair[1])):
            doing.day.files.append(_ingested(doing, number, sha256, uri, texts[sha256]))


def corrected_texts(originals: pa.Table, rows: pa.Table, proposed: Mapping[Item, Standing]) -> dict[str, pa.Table]:
    """By hash, the corrected records: ``landing.SCHEMA`` and record_number, ascending.

    ``originals`` and ``rows`` are what bronze and quarantine have of them. LakeDamaged if bronze has lost one.
    """
    places = zip(originals["source_sha256"].to_pylist(), originals["record_number"].to_pylist(), strict=True)
    texts = originals.select(landing.NAMES).to_pylist()
    as_it_came = {Item(*place): text for place, text in zip(places, texts, strict=True)}
    found: dict[str, list[dict[str, Any]]] = {}
    listed = zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), rows["reasons"].to_pylist(), strict=True)
    for sha256, number, reasons in listed:
        item = Item(sha256, number)
        original = {} if quarantine.is_unreadable(reasons) else as_it_came.get(item)
        if original is None:
            raise LakeDamaged(f"bronze has lost record {item}; restore the table {BRONZE.path}, it can be made anew from the kept files")
        values = corrections.values_of(str(proposed[item].correction))
        found.setdefault(sha256, []).append(original | values | {"record_number": number})
    schema = landing.SCHEMA.append(pa.field("record_number", pa.int64()))
    return {
        sha256: pa.Table.from_pylist(sorted(records, key=lambda one: int(one["record_number"])), schema)
        for sha256, records in found.items()
    }


def _ingested(doing: _Replay, number: int, sha256: str, uri: str, texts: pa.Table) -> Ingested:
    run = doing.day.run
    declared = doing.loaded[sha256].get("declared", {})
    amounts = AmountForm(**declared["amounts"]) if "amounts" in declared else None
    most = run.settings.unit_rows
    parts = tuple(
        corrected.stage(run.lake.storage, f"{layout.staging(run.run_id)}/corrected-{number}-{begin}", texts.slice(begin, most))
        for begin in range(0, texts.num_rows, most)
    )
    file = SourceFile(number, run.lake.storage, "", doing.loaded[sha256]["bytes"], declared.get("zone"), amounts, None, uri)
    return Ingested(file, sha256, parts=parts)


def _judge(doing: _Replay) -> None:
    """Validate, as a load does; what it writes to bronze is not kept, for bronze has what came."""
    day = doing.day
    units = plan.units(day.files, day.run.settings.unit_bytes)
    with day.stages.stage("bronze", len(units)) as watch:
        day.units = sorted(watch(day.executor.map(partial(bronze.bronze, day.run), units)), key=lambda unit: unit.unit.number)
    for unit in day.units:
        day.stage(QUARANTINE.path, unit.quarantine)
    day.run.lake.storage.delete([f"{BRONZE.path}/{unit.bronze.path}" for unit in day.units if unit.bronze is not None])


def _decide(doing: _Replay) -> None:
    """Put down what became of each record. What is still not acceptable has its row in quarantine already: it gets no other."""
    day, run = doing.day, doing.day.run
    paths = [f"{QUARANTINE.path}/{file.path}" for file in day.staged.pop(QUARANTINE.path, [])]
    returned = {Item(row["source_sha256"], row["record_number"]): row for path in paths for row in _rows(run.lake.storage, path)}
    run.lake.storage.delete(paths)
    duplicates = {
        Item(str(unit.unit.ingested.sha256), number)
        for unit in day.units
        if unit.unit.number in day.losers
        for number in day.losers[unit.unit.number].of(DUPLICATE).tolist()
    }
    sequence = kept.next_sequence(doing.before)
    for item, standing in sorted(doing.approved.items()):
        act = Act.RETURNED if item in returned else Act.DUPLICATE if item in duplicates else Act.ACCEPTED
        found = returned.get(item, {"reasons": (), "amount_minor": None, "currency": None})
        doing.outcomes.append(
            Decision(
                *item,
                act,
                standing.proposal or 0,
                correction=None,
                rule=None,
                reasons=tuple(found["reasons"]),
                amount_minor=found["amount_minor"],
                currency=found["currency"],
                who=doing.who,
                why="replayed",
                sequence=sequence,
                decided_at=run.started_at,
                run_id=run.run_id,
            )
        )
    rows = guard(CORRECTIONS, kept.rows_of(doing.outcomes))
    day.stage(CORRECTIONS.path, delta.stage(run.lake.storage, CORRECTIONS, f"part-{run.run_id}", rows, {}, run.started_at))


def _rows(storage: Storage, path: str) -> list[dict[str, Any]]:
    with storage.arrow_file(path) as file, pq.ParquetFile(file) as parquet:
        rows: list[dict[str, Any]] = parquet.read(columns=_RETURNED_COLUMNS, use_threads=False).to_pylist()
    return rows


def _reconcile(doing: _Replay, tally: Tally) -> list[FileOutcome]:
    """Raise NotReconciled if the staged tables do not hold what the corrected texts say."""
    with doing.day.stages.stage("reconcile"):
        (staged,) = doing.day.staged[CORRECTIONS.path]
        with doing.day.run.lake.storage.arrow_file(f"{CORRECTIONS.path}/{staged.path}") as file, pq.ParquetFile(file) as parquet:
            decided = parquet.read(columns=[*reconcile.COLUMNS, "act"], use_threads=False)
        faults = add_returned(tally, decided)
        sources = sources_of(doing.day)
        outcomes = [_outcome(doing, file, sources[str(file.sha256)], tally) for file in doing.day.files]
        faults += tally.faults() + [difference for outcome in outcomes for difference in outcome.differences()]
    if faults:
        raise NotReconciled("; ".join(faults[:10]))
    return outcomes


def add_returned(tally: Tally, decided: pa.Table) -> list[str]:
    """Count what a replay found still not acceptable; a sentence for each file of which it says something else than the tables.

    ``decided``: the replay's rows of control/corrections, reconcile.COLUMNS and act. The tally has the other two sides already.
    """
    tally.add(reconcile.count_rows("quarantined", decided.filter(pc.equal(decided["act"], Act.RETURNED.value)), tally.records))
    said = Counter(zip(decided["source_sha256"].to_pylist(), decided["act"].to_pylist(), strict=True))
    found = []
    for sha256, sides in tally.sides.items():
        for act, side in zip(OUTCOMES, ("accepted", "duplicates", "quarantined"), strict=True):
            if said[sha256, act.value] != sides[side].records:
                found.append(f"file {sha256}: {said[sha256, act.value]} corrected records are said to be {act}, {sides[side].records} are")
    return found


def _outcome(doing: _Replay, file: Ingested, source: Totals, tally: Tally) -> FileOutcome:
    sides = tally.sides[str(file.sha256)]
    known = (file.file.uri, file.sha256, file.file.size, STATUS, None)
    loaded = doing.loaded[str(file.sha256)]
    held = (sides["accepted"], sides["quarantined"], sides["duplicates"])
    return FileOutcome(*known, source, *held, loaded.get("declared", {}), loaded.get("contract_version", 1))


def _certificate(doing: _Replay, outcomes: Sequence[FileOutcome]) -> dict[str, Any]:
    day = doing.day
    reasons = Counter(reason for one in doing.outcomes for reason in one.reasons)
    after = total(outcome.source for outcome in outcomes)
    return _document(day.attempt, "succeeded") | {
        "files": [outcome.document() for outcome in outcomes],
        "totals": certificates.totals_document(outcomes, reasons),
        "modulus": modulus_checks(day),
        "keys": [asdict(segment) for segment in day.segments],
        "corrected": corrected_document(doing.rows, after, [*doing.before, *doing.outcomes]),
    }


def corrected_document(rows: pa.Table, after: Totals, decisions: Sequence[Decision]) -> dict[str, Any]:
    """What a replay took: ``rows`` of quarantine; what they became in all; and a digest of all decisions up to its own."""
    before = total(of_rows(rows).values())
    codes = sorted({*before.amount_minor, *after.amount_minor})
    amounts = {code: {"before": before.amount_minor.get(code, 0), "after": after.amount_minor.get(code, 0)} for code in codes}
    return {
        "records": rows.num_rows,
        "by_reason": dict(sorted(Counter(reason for reasons in rows["reasons"].to_pylist() for reason in reasons).items())),
        "amount_minor": amounts,
        "decisions": decisions[-1].sequence,
        "digest": corrections.digest(decisions),
    }


def _document(begun: Attempt, status: str) -> dict[str, Any]:
    said = {"files": [], "totals": certificates.totals_document([], {}), "quality": {}, "keys": publish.last_keys(begun.history)}
    return begun.document(KIND, status) | said | {"contract_version": landing.VERSION}


def _failed(begun: Attempt, why: str) -> Publication:
    return begun.publication({}, _document(begun, "failed") | {"error": why})
