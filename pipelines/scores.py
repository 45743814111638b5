"""Scores: the payments of some silver files as rows of gold/scores; and what of them is unusual enough for an alert."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.contracts.lake import BANDS, SCORES
from app.features import feature_set
from app.features.payments import Int64s
from app.lake import delta
from app.lake.delta import StagedFile
from models import champions
from models.champions import Champions
from models.verdicts import Detectors, Known, Verdicts, band_names
from pipelines.boundary import guard
from pipelines.facts import Facts, Told, gather
from pipelines.histories import Mask, SilverFile, read
from pipelines.work import Run

_COLUMNS: Final = ["transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee", "run_id"]
_HIGH: Final = BANDS.index("high")
SCORE: Final = "score"


@dataclass(frozen=True)
class Part:
    """What one task scores: silver files of one booking date, and the scores files that its rows replace."""

    number: int
    booking_date: date
    files: tuple[SilverFile, ...]
    old: tuple[str, ...]  # below the table; their other rows are kept
    new_runs: frozenset[str]


@dataclass(frozen=True)
class Unusual:
    """A payment of the band high, booked when the forest knew what is usual."""

    account: str  # whose it is: the payer's, if it is ours
    transaction_id: str
    booked_at: datetime
    score: float
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class ScoredPart:
    """What came of a part."""

    part: Part
    staged: StagedFile
    again: int  # payments that had a score already
    bands: Mapping[str, int]  # of all payments that were scored
    unusual: tuple[Unusual, ...]
    spreads: Mapping[str, Mapping[str, Int64s]]  # by model and subject: new payments in each bin of the model's profile


def score(run: Run, told: Sequence[Told], models: Champions, part: Part) -> ScoredPart:
    """Score a part, and write one file of scores."""
    detectors = champions.load(run.lake.storage, models, run.settings.trusted_key_file)
    name = f"part-{run.run_id}-{part.number:05d}"
    writer = delta.FileWriter(run.lake.storage, SCORES, name, {"booking_date": part.booking_date.isoformat()}, run.started_at)
    ledger = _Ledger(models, detectors)
    for file in part.files:
        facts = gather(run.lake.storage, told, file.number)
        for rows, of_rows in _blocks(run, file, facts):
            verdicts = detectors.verdicts(_known(rows, of_rows))
            ledger.take(rows, of_rows, verdicts, pc.is_in(rows["run_id"], pa.array(sorted(part.new_runs), pa.string())).to_numpy())
            writer.write(guard(SCORES, _table(run, models, rows, verdicts)))
    for kept in _kept(run, part, pa.chunked_array(ledger.ids or [pa.array([], pa.string())])):
        writer.write(kept)
    staged = writer.close()
    if staged is None:
        raise AssertionError("a part has at least one payment to score")
    return ScoredPart(part, staged, ledger.again, ledger.bands(), tuple(ledger.unusual), ledger.spreads)


def _blocks(run: Run, file: SilverFile, facts: Facts) -> Iterator[tuple[pa.Table, Facts]]:
    rows = read(run.lake.storage, file, _COLUMNS)
    if len(facts.rows) < rows.num_rows:
        rows = rows.take(pa.array(facts.rows))
    for begin in range(0, rows.num_rows, run.settings.block_rows):
        block = rows.slice(begin, run.settings.block_rows)
        yield block, facts.cut(begin, begin + block.num_rows)


def _known(rows: pa.Table, facts: Facts) -> Known:
    return Known(facts.booked_at, np.abs(rows["amount_minor"].to_numpy()), rows["currency"].to_pylist(), facts.facts, facts.judged)


def _table(run: Run, models: Champions, rows: pa.Table, verdicts: Verdicts) -> pa.Table:
    count = rows.num_rows
    suspicion = pa.nulls(count, pa.float64()) if verdicts.suspicion is None else pa.array(verdicts.suspicion)
    return pa.table(
        {
            "transaction_id": rows["transaction_id"],
            "booked_at": rows["booked_at"],
            "amount_minor": rows["amount_minor"],
            "currency": rows["currency"],
            "score": pa.array(verdicts.score),
            "suspicion": suspicion,
            "band": pa.array(band_names(verdicts.band), pa.string()),
            "reasons": pa.array([[reason.code for reason in of] for of in verdicts.reasons], pa.list_(pa.string())),
            "sentences": pa.array([[reason.sentence for reason in of] for of in verdicts.reasons], pa.list_(pa.string())),
            "model_id": pa.repeat(models.forest, count),
            "ranker_id": pa.nulls(count, pa.string()) if models.ranker is None else pa.repeat(models.ranker, count),
            "features_version": pa.repeat(pa.scalar(feature_set.VERSION, pa.int64()), count),
            "loaded_by": rows["run_id"],
            "run_id": pa.repeat(run.run_id, count),
            "scored_at": pa.repeat(pa.scalar(run.started_at, SCORES.schema.field("scored_at").type), count),
        }
    )


def _kept(run: Run, part: Part, replaced: pa.ChunkedArray) -> Iterator[pa.Table]:
    """The rows of the old files that are not scored again."""
    for path in part.old:
        with run.lake.storage.arrow_file(f"{SCORES.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            rows = parquet.read(use_threads=False)
        yield rows.filter(pc.invert(pc.is_in(rows["transaction_id"], replaced)))


class _Ledger:
    """Counts what a part's payments came to."""

    def __init__(self, models: Champions, detectors: Detectors) -> None:
        self._models = models
        self._detectors = detectors
        self._bands = np.zeros(len(BANDS), dtype=np.int64)
        self.ids: list[pa.Array] = []
        self.again = 0
        self.unusual: list[Unusual] = []
        self.spreads: dict[str, dict[str, Int64s]] = {}

    def take(self, rows: pa.Table, facts: Facts, verdicts: Verdicts, new: Mask) -> None:
        """Count a block in."""
        self.ids += rows["transaction_id"].chunks
        self.again += int((~new).sum())
        self._bands += np.bincount(verdicts.band, minlength=len(BANDS))
        high = np.flatnonzero(verdicts.band == _HIGH).tolist()
        for at, row in zip(high, rows.take(pa.array(high, pa.int64())).to_pylist(), strict=True):
            if row["booked_at"] < self._models.alerts_from:
                continue
            account = row["payer"] if facts.payer_is_own[at] or row["payee"] is None else row["payee"]
            sentences = tuple(reason.sentence for reason in verdicts.reasons[at])
            self.unusual.append(Unusual(account, row["transaction_id"], row["booked_at"], float(verdicts.score[at]), sentences))
        self._spread(verdicts, new)

    def _spread(self, verdicts: Verdicts, new: Mask) -> None:
        if not new.any():
            return
        profile = self._detectors.forest_profile
        forest = self.spreads.setdefault(self._models.forest, {})
        for column, (name, spread) in enumerate(profile.features.items()):
            _add(forest, name, spread.counts(verdicts.vectors[new, column]))
        _add(forest, SCORE, profile.score.counts(verdicts.score[new]))
        ranker = self._detectors.ranker_profile
        if ranker is not None and verdicts.suspicion is not None and self._models.ranker is not None:
            _add(self.spreads.setdefault(self._models.ranker, {}), SCORE, ranker.score.counts(verdicts.suspicion[new]))

    def bands(self) -> dict[str, int]:
        """How many payments lie in each band."""
        return dict(zip(BANDS, self._bands.tolist(), strict=True))


def _add(counts: dict[str, Int64s], subject: str, more: Int64s) -> None:
    counts[subject] = counts[subject] + more if subject in counts else more
