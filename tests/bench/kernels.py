"""Where a record's time goes on one core: each step of a run on one block, warm, in nanoseconds a row."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from app.contracts.lake import BRONZE, SILVER
from app.contracts.table import TableContract
from app.fingerprints import fingerprints
from app.lake.lake import create
from app.lake.storage import Storage
from app.readers.parsed import Numbers
from app.settings import Settings
from app.validation import transaction
from pipelines import bronze, ingest, plan
from pipelines.work import Run, Unit
from tests.bench.data import make
from tests.bench.timing import warm_rounds_of

_REPEATS = 7


def steps(folder: Path, rows: int) -> dict[str, float]:
    """The best of some repeats of each step, in ns a row."""
    landing = folder / f"landing-{rows}"
    make(landing, rows, 8)
    with tempfile.TemporaryDirectory(dir=folder) as root:
        run = Run("run", 1, datetime(2026, 6, 8, tzinfo=UTC), create(Storage(root), bytes(16)), Settings())
        (source,) = plan.source_files([str(landing / "day-0.csv")], [], {})
        ingested = ingest.ingest(run, source, known=frozenset())
        unit = Unit(0, ingested, ingested.parts[:1])
        parsed = next(bronze.blocks(run, unit))
        validated = bronze.validated_block(run, unit, parsed)
        accepted = bronze.checked(run, parsed, validated).filter(pa.array(~validated.rejected))
        block: dict[str, Callable[[], object]] = {
            "read and split the fields": lambda: next(bronze.blocks(run, unit)),
            "validate all columns": lambda: transaction.validate(parsed.columns),
            "fingerprints": lambda: fingerprints(validated.typed, run.lake.key),
            "all of bronze": lambda: bronze.bronze(run, unit),
            "write a bronze file": lambda: _write(run, unit, BRONZE, parsed.columns, parsed.record_number),
            "write a silver file": lambda: _write(
                run, unit, SILVER, accepted.drop_columns("record_number"), accepted["record_number"].to_numpy()
            ),
        }
        whole = _best(lambda: ingest.ingest(run, source, known=frozenset())) / sum(part.records for part in ingested.parts)
        return {"hash, keep and cut the file": whole * 1e9} | {name: _best(step) / parsed.records * 1e9 for name, step in block.items()}


def _write(run: Run, unit: Unit, contract: TableContract, rows: pa.Table, numbers: Numbers) -> None:
    writer = bronze.writer(run, unit, contract)
    writer.write(bronze.with_source(run, unit, rows, numbers))
    writer.close()


def _best(step: Callable[[], object]) -> float:
    return min(warm_rounds_of(step, _REPEATS))
