"""Leofric: the whole run on Ray. Beside the work it keeps the files, writes bronze and gold, reconciles and certifies."""

import sys
from pathlib import Path

from tests.bench.peer import Counts, report, timer


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    from app.lake.storage import Storage
    from app.settings import Settings
    from pipelines import executor, plan, session
    from pipelines.progress import Silent
    from pipelines.run import run

    settings = Settings()
    stop = session.start_ray(settings)
    elapsed = timer()
    sources = plan.source_files([str(landing / "*.csv")], [], {})
    certificate = run(Storage(str(out / "lake")), sources, settings, executor.RayData(settings), Silent())
    seconds = elapsed()
    totals = certificate["totals"]
    report(Counts(totals["records"], totals["accepted"], totals["quarantined"], totals["duplicates"]), seconds)
    sys.stderr.write(f"stages {certificate['seconds']}\n")
    stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
