"""The main job: landing to gold, each record counted in and counted out."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from app.compliance import certificate as certificates
from app.compliance.certificate import FileOutcome
from app.compliance.control_totals import Totals, total
from app.compliance.corrections import Decision
from app.contracts import landing
from app.contracts.lake import BRONZE, DATA_QUALITY_DAILY, DUPLICATES, QUARANTINE, QUARANTINE_DAILY, SILVER
from app.errors import NotReconciled
from app.lake import layout, runs
from app.lake.arrivals import CONFLICT
from app.lake.delta import StagedFile
from app.lake.keys import Segment
from app.lake.storage import Storage
from app.review import corrections
from app.settings import Settings
from pipelines import bronze, duplicates, gold, ingest, plan, publish, quarantined, reconcile, segments, silver
from pipelines.attempt import Attempt, attempt
from pipelines.executor import Executor
from pipelines.progress import Observer, Stages
from pipelines.publish import Publication, changes
from pipelines.reconcile import Counted, Placed, Tally, Unreadable
from pipelines.work import Bronzed, Ingested, Quality, Rejection, Run, SourceFile

KIND = "load"


@dataclass
class Day:
    """A run's state between its stages."""

    attempt: Attempt
    executor: Executor
    files: list[Ingested] = field(default_factory=list)
    units: list[Bronzed] = field(default_factory=list)
    losers: dict[int, silver.Losers] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()  # the index of transaction ids as it will be
    retired: list[str] = field(default_factory=list)  # objects to remove once this run is published
    retired_keys: list[str] = field(default_factory=list)  # the same in the key store
    staged: dict[str, list[StagedFile]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        return self.attempt.run

    @property
    def stages(self) -> Stages:
        return self.attempt.stages

    @property
    def history(self) -> list[dict[str, Any]]:
        return self.attempt.history

    def stage(self, table: str, file: StagedFile | None) -> None:
        if file is not None:
            self.staged.setdefault(table, []).append(file)


def run(
    storage: Storage, sources: Sequence[SourceFile], settings: Settings, executor: Executor, observer: Observer, now: datetime | None = None
) -> dict[str, Any]:
    """Load ``sources`` into the lake at ``storage``; returns the run's certificate.

    Raises LakeBusy if another run holds the lake. A run whose totals do not reconcile publishes nothing but its certificate, which
    then says ``failed``.
    """
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(Day(begun, executor), sources))


def _prepare(day: Day, sources: Sequence[SourceFile]) -> Publication:
    """Every stage up to the point of no return."""
    _ingest(day, sources)
    _bronze(day)
    settle(day)
    make_silver(day)
    tally = Tally({sha256: source.records for sha256, source in sources_of(day).items()})
    make_gold(day, tally)
    try:
        outcomes = _reconcile(day, tally)
    except NotReconciled as error:
        publish.undo(day.run.lake, day.run.run_id)
        return _failed(day, str(error))
    document = _certificate(day, outcomes)
    if day.staged.get(BRONZE.path) or day.staged.get(QUARANTINE.path):
        _stage_quality(day, document)
        stage_quarantine_daily(day, corrections.decisions(day.run.lake))
    return day.attempt.publication(changes(day.staged, day.removed), document, day.retired, day.retired_keys)


def _ingest(day: Day, sources: Sequence[SourceFile]) -> None:
    known = runs.loaded_files(runs.standing(day.history))
    sources = segments.prepared(day.run.lake, sources)
    with day.stages.stage("ingest", len(sources)) as watch:
        files = list(watch(day.executor.map(partial(ingest.ingest, day.run, known=known), sources)))
    seen: set[str | None] = set()
    for file in sorted(files, key=lambda f: f.file.number):
        fresh = file.rejection is None and not file.already_loaded
        day.files.append(replace(file, already_loaded=True) if fresh and file.sha256 in seen else file)
        if fresh:
            seen.add(file.sha256)


def _loading(files: Iterable[Ingested]) -> list[Ingested]:
    return [file for file in files if file.rejection is None and not file.already_loaded]


def _bronze(day: Day) -> None:
    units = plan.units(_loading(day.files), day.run.settings.unit_bytes)
    with day.stages.stage("bronze", len(units)) as watch:
        bronzed = list(watch(day.executor.map(partial(bronze.bronze, day.run), units)))
    bronzed.sort(key=lambda b: b.unit.number)
    _reject_late(day, bronzed)
    accepted = {file.file.number for file in _loading(day.files)}
    for unit in bronzed:
        staged = [(BRONZE.path, unit.bronze), (QUARANTINE.path, unit.quarantine)]
        if unit.unit.ingested.file.number in accepted:
            day.units.append(unit)
            for table, file in staged:
                day.stage(table, file)
        else:
            day.run.lake.storage.delete([f"{table}/{file.path}" for table, file in staged if file is not None])


def _reject_late(day: Day, units: Sequence[Bronzed]) -> None:
    """Reject the files that turned out damaged, and those whose declared totals are not what was read."""
    for index, file in enumerate(day.files):
        if file.rejection is not None or file.already_loaded:
            continue
        mine = [unit for unit in units if unit.unit.ingested.file.number == file.file.number]
        damaged = next((unit.rejection for unit in mine if unit.rejection is not None), None)
        rejection = damaged or _declared_otherwise(file, total(unit.source for unit in mine))
        if rejection is not None:
            day.files[index] = replace(file, rejection=rejection)


def _declared_otherwise(file: Ingested, read: Totals) -> Rejection | None:
    if file.declared is None or read == Totals(file.declared.records, dict(sorted(file.declared.amount_minor.items()))):
        return None
    message = (
        f"{file.file.uri} holds {read.records} records and {dict(read.amount_minor)} minor units, but its control file declares"
        f" {file.declared.records} and {dict(file.declared.amount_minor)}; have it delivered again, complete"
    )
    return Rejection("control_total_mismatch", message)


def settle(day: Day) -> None:
    """Which of the acceptable records are duplicates or conflicts; and the index of ids as it will be."""
    segments = tuple(Segment(**entry) for entry in publish.last_keys(day.history))
    ranges = duplicates.ranges(day.run, day.units, segments)
    with day.stages.stage("duplicates", len(ranges)) as watch:
        settled = list(watch(day.executor.map(partial(duplicates.settle, day.run), ranges)))
    day.losers = silver.losers(settled)
    merged = {segment for part in ranges for segment in part.merge}
    new = sorted((part.segment for part in settled if part.segment.rows), key=lambda segment: segment.name)
    day.segments = (*(segment for segment in segments if segment not in merged), *new)
    day.retired += [segment.path for segment in merged] + [part.segment.path for part in settled if not part.segment.rows]


def make_silver(day: Day) -> None:
    """Stage what is accepted, the list of duplicates, and conflicts."""
    run = day.run
    pieces = silver.pieces(run, day.units, day.losers)
    by_number = {unit.unit.number: unit.unit for unit in day.units}
    conflicts = [silver.Conflicts(by_number[number], lost) for number, lost in sorted(day.losers.items()) if len(lost.of(CONFLICT))]
    with day.stages.stage("silver", len(pieces) + len(conflicts)) as watch:
        made = list(watch(day.executor.map(partial(silver.made, run), [*pieces, *conflicts])))
    for files in made:
        day.stage(SILVER.path, files.silver)
        day.stage(DUPLICATES.path, files.duplicates)
        day.stage(QUARANTINE.path, files.quarantine)


def make_gold(day: Day, tally: Tally) -> None:
    """Make the figures of the days that the run touched; and, since both read what is staged, count the staged tables into ``tally``."""
    run = day.run
    new: dict[str, list[str]] = {}
    for file in day.staged.get(SILVER.path, ()):
        new.setdefault(str(file.partition["booking_date"]), []).append(file.path)
    old = gold.files_of(run.lake.table(SILVER), "booking_date", new)
    days = [gold.Day(number, datetime.fromisoformat(text).date(), (*old[text], *new[text])) for number, text in enumerate(sorted(new))]
    placed = reconcile.placed(day.staged, run.settings.silver_file_rows)
    with day.stages.stage("gold", len(days) + len(placed)) as watch:
        for made in watch(day.executor.map(partial(_figures, run, tally.records), [*days, *placed])):
            if isinstance(made, Counted):
                tally.add(made)
            elif isinstance(made, Unreadable):
                tally.object_to(made)
            else:
                for table, file in made.items():
                    day.stage(table, file)
    for contract in gold.DAILY_TABLES:
        stale = gold.files_of(run.lake.table(contract), "booking_date", new)
        day.removed[contract.path] = [path for paths in stale.values() for path in paths]


def _figures(run: Run, records: Mapping[str, int], item: gold.Day | Placed) -> dict[str, StagedFile] | Counted | Unreadable:
    try:
        return gold.gold(run, item) if isinstance(item, gold.Day) else reconcile.count(run, records, item)
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        return Unreadable(str(error))


def sources_of(day: Day) -> dict[str, Totals]:
    """By hash, what the readers counted in each file that is loaded."""
    sources: dict[str, Totals] = {str(file.sha256): Totals() for file in _loading(day.files)}
    for unit in day.units:
        sources[str(unit.unit.ingested.sha256)] += unit.source
    return sources


def _stage_quality(day: Day, document: dict[str, Any]) -> None:
    run = day.run
    stand = runs.standing(day.history)
    before = [json.loads(row["certificate"]) for row in stand if row["started_at"].date() == run.started_at.date()]
    day.stage(DATA_QUALITY_DAILY.path, gold.stage_quality(run, [*before, document]))
    stale = gold.files_of(run.lake.table(DATA_QUALITY_DAILY), "ingest_date", [run.ingest_date])
    day.removed[DATA_QUALITY_DAILY.path] = stale[run.ingest_date]


def stage_quarantine_daily(day: Day, decisions: Sequence[Decision]) -> None:
    """Stage the day's figures of quarantine; ``decisions``: all, this run's own too."""
    new = day.staged.get(QUARANTINE.path, ())
    day.staged[QUARANTINE_DAILY.path], day.removed[QUARANTINE_DAILY.path] = quarantined.stage_daily(day.run, new, decisions)


def _reconcile(day: Day, tally: Tally) -> list[FileOutcome]:
    """Raise NotReconciled if the staged tables do not hold what the readers counted."""
    with day.stages.stage("reconcile"):
        sources = sources_of(day)
        versions = _contract_versions(day)
        outcomes = [_outcome(file, sources, tally, versions.get(file.file.number)) for file in day.files]
        faults = tally.faults() + [difference for outcome in outcomes for difference in outcome.differences()]
    if faults:
        raise NotReconciled("; ".join(faults[:10]))
    return outcomes


def _contract_versions(day: Day) -> dict[int, int]:
    """By file number, which version of the landing contract it has: by the columns that it names, in NDJSON by the keys of its records."""
    versions = {file.file.number: landing.version_of(file.names) for file in _loading(day.files)}
    for unit in day.units:
        number = unit.unit.ingested.file.number
        versions[number] = max(versions[number], unit.contract_version)
    return versions


def _outcome(file: Ingested, sources: dict[str, Totals], tally: Tally, version: int | None = None) -> FileOutcome:
    known = (file.file.uri, file.sha256, file.file.size)
    if file.rejection is not None:
        return FileOutcome(*known, "rejected", (file.rejection.code, file.rejection.message))
    if file.already_loaded:
        return FileOutcome(*known, "already_loaded")
    sides = tally.sides[str(file.sha256)]
    source = sources[str(file.sha256)]
    held = (sides["accepted"], sides["quarantined"], sides["duplicates"])
    return FileOutcome(*known, "loaded", None, source, *held, _declared(file.file), version)


def _declared(file: SourceFile) -> dict[str, Any]:
    """What a replay must know to judge the file's records again."""
    zone = {} if file.zone is None else {"zone": file.zone}
    return zone if file.amounts is None else zone | {"amounts": asdict(file.amounts)}


def _certificate(day: Day, outcomes: Sequence[FileOutcome]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for unit in day.units:
        reasons.update(unit.by_reason)
    conflicts = sum(len(lost.of(CONFLICT)) for lost in day.losers.values())
    if conflicts:
        reasons[silver.CONFLICT_REASON] += conflicts
    totals = certificates.totals_document(outcomes, reasons)
    rejected = [file for file in day.files if file.rejection is not None and file.sha256 is not None]
    kept = {str(file.sha256) for file in _loading(day.files)} | runs.loaded_files(day.history)
    day.retired += [layout.kept_file(str(file.sha256)) for file in rejected if file.sha256 not in kept]
    standing = {str(file.sha256) for file in _loading(day.files)} | runs.loaded_files(runs.standing(day.history))
    paths, day.retired_keys = segments.retired(day.run.lake, day.files, standing)
    day.retired += paths
    return _document(day, "succeeded", [outcome.document() for outcome in outcomes], totals) | {
        "quality": _quality(day, totals, conflicts),
        "keys": [asdict(segment) for segment in day.segments],
    }


def _document(day: Day, status: str, files: list[dict[str, Any]], totals: dict[str, Any]) -> dict[str, Any]:
    said = {"files": files, "totals": totals, "contract_version": landing.VERSION, "modulus": modulus_checks(day)}
    return day.attempt.document(KIND, status) | said


def modulus_checks(day: Day) -> dict[str, Any]:
    """Which weight table checked, and what it said of the booked accounts of the records that validation accepted."""
    counts = sum((Counter(unit.checks) for unit in day.units), Counter[str]())
    loaded = day.run.modulus
    return {
        "table": None if loaded is None else loaded.version,
        "sha256": None if loaded is None else loaded.sha256,
        "in_force_from": None if loaded is None else loaded.in_force_from,
        "accounts": dict(sorted(counts.items())),
    }


def _failed(day: Day, why: str) -> Publication:
    outcomes = [
        FileOutcome(f.file.uri, f.sha256, f.file.size, "rejected", ("not_reconciled", why)) if f.rejection is None and not f.already_loaded
        else _outcome(f, {}, Tally({}))
        for f in day.files
    ]  # fmt: skip
    document = _document(day, "failed", [o.document() for o in outcomes], certificates.totals_document(outcomes, {}))
    document |= {"error": why, "quality": {}, "keys": publish.last_keys(day.history)}
    return day.attempt.publication({}, document)


def _quality(day: Day, totals: dict[str, Any], conflicts: int) -> dict[str, list[int]]:
    counted = sum((unit.quality for unit in day.units), Quality())
    declared = [file for file in day.files if file.declared is not None and not file.already_loaded]
    wrong = sum(file.rejection is not None for file in declared)
    quality = {
        "completeness": [counted.filled, counted.readable * len(landing.REQUIRED)],
        "validity": [counted.valid, totals["records"]],
        "consistency": [counted.consistent - conflicts, counted.readable],
        "uniqueness": [counted.valid - conflicts - totals["duplicates"], counted.valid],
        "timeliness": [counted.timely, counted.valid],
    }
    if declared:
        quality["accuracy"] = [len(declared) - wrong, len(declared)]
    return quality
