"""Quarantine in figures: how much lies there, for which reasons, how long, and what was decided about it."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.compliance.corrections import Decision, seen
from app.contracts.lake import QUARANTINE, QUARANTINE_DAILY
from app.lake import delta
from app.lake.delta import StagedFile
from app.review import quarantine
from pipelines import gold
from pipelines.boundary import guard
from pipelines.work import Run


def stage_daily(run: Run, new: Sequence[StagedFile], decisions: Sequence[Decision]) -> tuple[list[StagedFile], list[str]]:
    """Make the day's rows of quarantine_daily anew: the staged file, and the files that it replaces.

    ``new``: files of quarantine that this run has staged; ``decisions``: all, the run's own too.
    """
    columns = list(quarantine.COLUMNS)
    parts = [_read(run, file, columns) for file in new]
    rows = pa.concat_tables([quarantine.records(run.lake).cast(parts[0].schema) if parts else quarantine.records(run.lake), *parts])
    old = gold.files_of(run.lake.table(QUARANTINE_DAILY), "as_of_date", [run.ingest_date])[run.ingest_date]
    if not rows.num_rows:
        return [], old
    states = pa.array([state.value for state in quarantine.states(rows, seen(decisions)[0])], pa.string())
    ages = quarantine.ages(rows, run.started_at)
    figures = daily(rows.select(["reasons", "currency", "amount_minor"]).append_column("state", states).append_column("age", ages))
    partition = {"as_of_date": run.ingest_date}
    name = f"part-{run.run_id}"
    return [delta.stage(run.lake.storage, QUARANTINE_DAILY, name, guard(QUARANTINE_DAILY, figures), partition, run.started_at)], old


def _read(run: Run, file: StagedFile, columns: list[str]) -> pa.Table:
    with run.lake.storage.arrow_file(f"{QUARANTINE.path}/{file.path}") as opened, pq.ParquetFile(opened) as parquet:
        rows = parquet.read(columns=columns, use_threads=False).select(columns)
    return rows.cast(pa.schema([QUARANTINE.schema.field(name).with_nullable(True) for name in columns]))


def daily(rows: pa.Table) -> pa.Table:
    """Rows of quarantine_daily, without their day, from records: reasons, currency, amount_minor, state and age."""
    plain = rows.drop_columns(["reasons"])
    each = plain.take(pc.list_parent_indices(rows["reasons"])).append_column("reason", pc.list_flatten(rows["reasons"]))
    whole = plain.append_column("reason", pa.nulls(rows.num_rows, pa.string()))
    both = pa.concat_tables([each.cast(whole.schema), whole])
    keys = ["reason", "state", "age", "currency"]
    sums = both.group_by(keys, use_threads=False).aggregate([([], "count_all"), ("amount_minor", "sum")])
    return sums.rename_columns([*keys, "records", "amount_minor"]).sort_by([(key, "ascending") for key in keys])
