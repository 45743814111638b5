"""Scoring: every payment of silver that has no score yet gets one, and what is unusual becomes an alert.

It is a run of its own, with a certificate of its own: what it scored of each run that loaded payments is what silver accepted of it, to the
penny and to the payment. Nothing says so but counts: of silver as it is read first, and of the scores as they are read back last.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from app.compliance import certificate as certificates
from app.contracts.lake import ALERTS, DRIFT_DAILY, SCORES
from app.errors import LakeNotFound, NotReconciled, UsageError
from app.features import feature_set
from app.features.timeline import HORIZON_US
from app.lake import runs
from app.lake.delta import StagedFile
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings
from models import champions
from models.champions import Champions
from pipelines import alerts, deletions, drift, facts, gold, held, histories, publish, scores
from pipelines.attempt import Attempt, attempt
from pipelines.executor import Executor
from pipelines.facts import Network, Shard, Told
from pipelines.held import NOTHING, Held
from pipelines.histories import SilverFile, Sorted, Spread
from pipelines.progress import Observer
from pipelines.publish import Publication, changes
from pipelines.reconcile import Unreadable
from pipelines.scores import Part, ScoredPart
from pipelines.work import Run

KIND: Final = "score"
_WINDOW: Final = timedelta(microseconds=HORIZON_US) + timedelta(days=2)
"""How many whole days before the first new payment are read: the horizon, and the day on which a dormant account wakes."""


def pending(history: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The runs whose accepted payments have no score yet; ``history``: rows of control/runs."""
    standing = runs.standing(history)
    documents = [json.loads(row["certificate"]) for row in standing if row["status"] == "succeeded"]
    scored = {run_id for document in documents if document["kind"] == KIND for run_id in document["scored"]}
    return frozenset(deletions.accepted_left(standing)) - scored


UNSCORED: Final = "unscored"


def writers(history: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """By what the names of silver's files begin, after ``part-``, in which payments wait for a score: no other payment is in those.

    They are the runs that loaded them, and runs that made few files of many since.
    """
    waiting = pending(history)
    optimized = [json.loads(row["certificate"]).get("optimize", {}) | {"run_id": row["run_id"]} for row in runs.standing(history)]
    return waiting | {f"{one['run_id']}-{UNSCORED}" for one in optimized if waiting & set(one.get(UNSCORED, ()))}


def nothing_to_do(storage: Storage) -> bool:
    """Whether every accepted payment of the lake has a score."""
    return not pending(runs.runs(open_lake(storage)))


def score(storage: Storage, settings: Settings, executor: Executor, observer: Observer, now: datetime | None = None) -> dict[str, Any]:
    """Score what has no score yet; returns the run's certificate.

    Raises UsageError without a champion, LakeBusy if another run holds the lake. Scores that do not reconcile are not published: the
    certificate then says ``failed``.
    """
    models = champions.in_use(storage)
    if models is None:
        raise UsageError("no isolation forest is in use; `leofric train` makes one, and `leofric models promote` puts it into use")
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(_Scoring(begun, executor, models)))


@dataclass
class _Scoring:
    """A scoring run's state between its stages."""

    attempt: Attempt
    executor: Executor
    models: Champions
    new_runs: frozenset[str] = frozenset()
    silver: dict[str, Held] = field(default_factory=dict)  # what silver holds of each of them
    files: list[SilverFile] = field(default_factory=list)  # in the window
    begins: date | None = None  # the window's first day, if the lake has days before it
    sorted: list[Sorted] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    parts: list[ScoredPart] = field(default_factory=list)
    staged: dict[str, list[StagedFile]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    raised: Counter[str] = field(default_factory=Counter)  # by scenario

    @property
    def run(self) -> Run:
        return self.attempt.run


def _prepare(day: _Scoring) -> Publication:
    """Every stage up to the point of no return."""
    day.new_runs = pending(day.attempt.history)
    _news(day)
    _sort(day)
    _look_back(day)
    _score(day)
    _alerts(day)
    try:
        _reconcile(day)
    except NotReconciled as error:
        publish.undo(day.run.lake, day.run.run_id)
        return day.attempt.publication({}, _certificate(day, "failed") | {"error": str(error)})
    return day.attempt.publication(changes(day.staged, day.removed), _certificate(day, "succeeded"))


def _news(day: _Scoring) -> None:
    """Which accounts the new payments touch, and how far back their past matters."""
    run = day.run
    every = histories.files(run.lake, writers(day.attempt.history))
    new = [file for file in every if file.new]
    if not new and day.new_runs:
        raise LakeNotFound(f"silver has no payment of the runs {', '.join(sorted(day.new_runs))}, which loaded some; restore the table")
    with day.attempt.stages.stage("news", len(new)) as watch:
        found = list(watch(day.executor.map(partial(histories.news, run), new)))
    for one in found:
        held.add(day.silver, one.held)
    histories.keep_touched(run, histories.merged([one.touched for one in found]))
    if new:
        first = min(file.booking_date for file in new) - _WINDOW
        day.files = [file for file in every if file.booking_date >= first]
        day.begins = first if len(day.files) < len(every) else None


def _sort(day: _Scoring) -> None:
    """Sort the payments of touched accounts into shards."""
    most = day.run.settings.score_shard_rows
    shards = max(1, -(-sum(file.rows for file in day.files) // most))
    groups: list[list[SilverFile]] = []
    for file in day.files:
        if not groups or sum(one.rows for one in groups[-1]) + file.rows > most // 2:
            groups.append([])
        groups[-1].append(file)
    items = [Spread(number, tuple(group), shards, day.new_runs) for number, group in enumerate(groups)]
    with day.attempt.stages.stage("histories", len(items)) as watch:
        day.sorted = list(watch(day.executor.map(partial(histories.spread, day.run), items)))


def _look_back(day: _Scoring) -> None:
    """What lies before each payment, and which scenarios fire."""
    pieces: dict[int, list[str]] = {}
    for one in day.sorted:
        for shard, path in one.pieces.items():
            pieces.setdefault(shard, []).append(path)
    shards = [Shard(number, tuple(sorted(paths)), day.begins) for number, paths in sorted(pieces.items())]
    new = min((file.booking_date for file in day.files if file.new), default=day.run.started_at.date())
    begins = facts.first_day(day.run, new)
    network = Network(tuple(file for file in day.files if file.booking_date >= begins), day.new_runs)
    items = [*shards, network] if day.files else []
    with day.attempt.stages.stage("look back", len(items)) as watch:
        day.told = list(watch(day.executor.map(partial(facts.told, day.run), items)))


def _score(day: _Scoring) -> None:
    """Score file by file; where a day has payments whose past has changed, the whole day, for its rows are replaced."""
    again = {number for one in day.sorted for number in one.again}
    wanted = [file for file in day.files if file.new or file.number in again]
    of_day: dict[date, list[SilverFile]] = {}
    for file in wanted:
        of_day.setdefault(file.booking_date, []).append(file)
    rewritten = {file.booking_date for file in wanted if file.number in again}
    old = gold.files_of(day.run.lake.table(SCORES), "booking_date", [one.isoformat() for one in rewritten])
    groups: list[tuple[date, list[SilverFile]]] = []
    for booking_date, of in of_day.items():
        groups += [(booking_date, of)] if booking_date in rewritten else [(booking_date, [file]) for file in of]
    parts = [
        Part(number, booking_date, tuple(of), tuple(old.get(booking_date.isoformat(), ())), day.new_runs)
        for number, (booking_date, of) in enumerate(groups)
    ]
    task = partial(scores.score, day.run, day.told, day.models)
    with day.attempt.stages.stage("score", len(parts)) as watch:
        day.parts = sorted(watch(day.executor.map(task, parts)), key=lambda one: one.part.number)
    day.staged[SCORES.path] = [one.staged for one in day.parts]
    day.removed[SCORES.path] = [path for part in parts for path in part.old]


def _alerts(day: _Scoring) -> None:
    """Raise alerts, and count drift."""
    with day.attempt.stages.stage("alerts"):
        by_scenario = [one for told in day.told for one in told.alerts]
        by_models = [one for part in day.parts for one in part.unusual]
        rows = alerts.of_scenarios(by_scenario) + alerts.of_models(by_models)
        day.staged[ALERTS.path], day.removed[ALERTS.path], day.raised = alerts.stage(day.run, rows)
        day.staged[DRIFT_DAILY.path], day.removed[DRIFT_DAILY.path] = drift.stage(day.run, [part for part in day.parts if part.spreads])


def _reconcile(day: _Scoring) -> None:
    """Raise NotReconciled unless the scores that come, less those that go, are what silver and the certificates say was accepted."""
    paths = [(file.path, 1) for file in day.staged[SCORES.path]] + [(path, -1) for path in day.removed[SCORES.path]]
    come: dict[int, dict[str, Held]] = {1: {}, -1: {}}
    unreadable = []
    with day.attempt.stages.stage("reconcile", len(paths)) as watch:
        for (_, sign), found in watch(day.executor.map(partial(_count, day.run), paths)):
            if isinstance(found, Unreadable):
                unreadable.append(f"what was staged cannot be read back: {found.why}")
            else:
                held.add(come[sign], found)
    faults = unreadable + _faults(come[1], come[-1], day.silver, _accepted(day.attempt.history, day.new_runs))
    if faults:
        raise NotReconciled("; ".join(faults[:10]))


def _count(run: Run, item: tuple[str, int]) -> tuple[tuple[str, int], dict[str, Held] | Unreadable]:
    """What a file of scores holds, by the run that loaded it."""
    try:
        with run.lake.storage.arrow_file(f"{SCORES.path}/{item[0]}") as opened, pq.ParquetFile(opened) as parquet:
            rows: pa.Table = parquet.read(columns=[*held.COLUMNS, "loaded_by"], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        return item, Unreadable(str(error))
    return item, held.held(rows, "loaded_by", run.lake.key)


def _accepted(history: Sequence[Mapping[str, Any]], new: frozenset[str]) -> dict[str, dict[str, Any]]:
    return {run_id: left for run_id, left in deletions.accepted_left(runs.standing(history)).items() if run_id in new}


def _faults(
    come: Mapping[str, Held], gone: Mapping[str, Held], silver: Mapping[str, Held], certified: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    faults = []
    for run_id in sorted({*come, *gone, *silver, *certified}):
        if run_id not in certified:
            if come.get(run_id, NOTHING) != gone.get(run_id, NOTHING):
                faults.append(f"run {run_id} was scored before, and its scores do not come back whole")
            continue
        differences = held.differences(come.get(run_id, NOTHING), silver.get(run_id, NOTHING), certified[run_id])
        faults += [f"run {run_id}: {difference}" for difference in differences]
    return faults


def _certificate(day: _Scoring, status: str) -> dict[str, Any]:
    history = day.attempt.history
    bands: Counter[str] = Counter()
    for part in day.parts:
        bands.update(part.bands)
    certified = _accepted(history, day.new_runs)
    return day.attempt.document(KIND, status) | {
        "scored": dict(sorted(certified.items())) if status == "succeeded" else {},
        "scored_again": sum(part.again for part in day.parts),
        "bands": dict(bands),
        "alerts": dict(sorted(day.raised.items())),
        "models": {"isolation_forest": day.models.forest, "supervised": day.models.ranker},
        "features_version": feature_set.VERSION,
        "files": [],
        "totals": certificates.totals_document([], {}),
        "quality": {},
        "keys": publish.last_keys(history),
    }
