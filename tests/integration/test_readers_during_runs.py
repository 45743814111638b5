"""Whoever reads while runs go on sees the lake as one run left it, never half a run."""

import threading
from datetime import timedelta
from pathlib import Path

from deltalake import DeltaTable

from app.contracts.lake import SILVER
from tests.support.lake import NOW, asked, load, opened
from tests.support.landing import record, records, write_csv

DAYS = 12
EACH = 20
FIGURES = """
    select (select count(*) from silver_transactions), (select count(*) from bronze_transactions),
           (select count(*) from quarantine_transactions), (select count(*) from control_duplicates),
           (select coalesce(sum(transactions), 0) from gold_account_daily)
"""


def test_a_query_sees_all_tables_as_one_run_left_them(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    (tmp_path / "empty").mkdir()
    write_csv(tmp_path / "empty/none.csv", [])
    load(tmp_path / "empty", lake)
    seen: list[tuple[int, ...]] = []
    silver: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            (row,) = asked(opened(lake), FIGURES).to_pylist()
            seen.append(tuple(int(value) for value in row.values()))
            silver.append(DeltaTable(str(lake / SILVER.path)).to_pyarrow_table(columns=["record_number"]).num_rows)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for day in range(DAYS):
            first = 1 + day * EACH
            rows = [*records(first, first + EACH - 1), record(first), record(900_000 + day, currency="XXX")]
            write_csv(tmp_path / f"day-{day}/a.csv", rows)
            load(tmp_path / f"day-{day}", lake, now=NOW + timedelta(days=day))
    finally:
        stop.set()
        reader.join()
    after_each_run = {(EACH * n, (EACH + 2) * n, n, n, EACH * n) for n in range(DAYS + 1)}
    assert set(seen) <= after_each_run
    assert set(silver) <= {EACH * n for n in range(DAYS + 1)}
    assert len(set(seen)) > 2  # it looked often enough to have seen a run that was half done
