"""The floor: pyarrow's reader, Leofric's validation and fingerprints, two threads, no Ray, no lake, no evidence; reasons as Leofric's."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tests.bench.peer import Counts, report, timer


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    from app.contracts.landing import NAMES, SCHEMA
    from app.fingerprints import fingerprints
    from app.validation.transaction import reasons, validate

    options = pa.csv.ConvertOptions(column_types=SCHEMA, include_columns=list(NAMES), include_missing_columns=True)
    lock = Lock()
    seen: list[np.ndarray] = []
    warm = validate(pa.table({name: ["x"] for name in NAMES}, schema=SCHEMA))
    fingerprints(warm.typed, bytes(16))
    elapsed = timer()

    def work(path: Path) -> tuple[int, int, int]:
        texts = pa.csv.read_csv(path, pa.csv.ReadOptions(use_threads=False, block_size=256 << 20), convert_options=options)
        checked = validate(texts)
        good = checked.typed.filter(pa.array(~checked.rejected))
        prints = fingerprints(good, bytes(16))
        _, first = np.unique(prints.id_high, return_index=True)
        with lock:
            for earlier in seen:
                first = first[~np.isin(prints.id_high[first], earlier)]
            seen.append(prints.id_high[first])
        pq.write_table(good.take(pa.array(np.sort(first))), out / f"accepted-{path.stem}.parquet", compression="zstd", compression_level=1)
        bad = np.flatnonzero(checked.rejected)
        quarantine = texts.take(pa.array(bad)).append_column("reasons", reasons(checked, bad))
        pq.write_table(quarantine, out / f"quarantine-{path.stem}.parquet", compression="zstd")
        return texts.num_rows, len(first), int(checked.rejected.sum())

    with ThreadPoolExecutor(2) as pool:
        rows, accepted, bad = (sum(column) for column in zip(*pool.map(work, sorted(landing.glob("*.csv"))), strict=True))
    report(Counts(rows, accepted, bad, rows - bad - accepted), elapsed())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
