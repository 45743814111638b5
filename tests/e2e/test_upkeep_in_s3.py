"""A lake in S3 is optimized, restored and vacuumed as one on a disk is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.contracts.lake import SILVER
from app.lake import delta, runs
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import optimize, plan, restore, vacuum, verify
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.run import run
from tests.support import s3
from tests.support.lake import NOW, asked, content, content_of, load
from tests.support.landing import record, records, write_csv

SETTINGS = Settings()
WHY = ("for tests", "tests")


def test_a_lake_in_s3_is_looked_after_as_a_local_one(tmp_path: Path) -> None:
    for day in range(3):
        first = 1 + 9 * day
        write_csv(tmp_path / f"{day}/a.csv", [*records(first, first + 8), record(1), record(900 + day, currency="XXX")])
        load(tmp_path / str(day), tmp_path / "local", now=NOW + timedelta(minutes=day))
    (tmp_path / "server").mkdir()
    with s3.server(tmp_path / "server") as options:
        storage = Storage("s3://lakes/one", options)

        def loaded(day: int) -> str:
            sources = plan.source_files([str(tmp_path / str(day))], (), {}, ())
            certificate = run(storage, sources, SETTINGS, InProcess(), Silent(), NOW + timedelta(minutes=day))
            assert [file["status"] for file in certificate["files"]] == ["loaded"]
            return str(certificate["run_id"])

        first_run = loaded(0)
        for day in (1, 2):
            loaded(day)
        everything = content_of(storage)
        optimize.optimize(storage, SETTINGS, None, *WHY, InProcess(), Silent())
        assert content_of(storage) == everything
        restore.restore(storage, SETTINGS, first_run, *WHY, InProcess(), Silent())
        lake = open_lake(storage)
        assert asked(lake, "select count(*) as n from silver_transactions").to_pylist() == [{"n": 9}]
        for day in (1, 2):
            loaded(day)
        assert content_of(storage) == everything
        assert vacuum.vacuum(storage, SETTINGS, 30, *WHY, Silent(), datetime.now(UTC) + timedelta(days=31))["vacuum"]["files"] > 0
        assert content_of(storage) == everything
        assert not [verdict for verdict in verify.verify(open_lake(storage)) if verdict.faults]
        on_disk = {
            entry.path for entry in storage.entries(SILVER.path) if entry.path.endswith(".parquet") and "_delta_log" not in entry.path
        }
        assert on_disk == {f"{SILVER.path}/{path}" for path in delta.files_of(open_lake(storage).table(SILVER))}
        assert len(runs.runs(open_lake(storage))) == 8
    local = content(tmp_path / "local")
    assert everything == local
