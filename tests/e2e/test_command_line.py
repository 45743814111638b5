"""The programs as a user starts them: real processes, real Ray, real files."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.contracts.lake import SCORES, SILVER
from tests.support import s3
from tests.support.champion import put_into_use
from tests.support.lake import content, load, rows
from tests.support.landing import csv_bytes, record, records, write_csv, write_parquet
from tests.support.review import correct, items_of, replayed
from tests.support.review import said as told

SMALL_UNITS = {"LEOFRIC_UNIT_BYTES": "3000"}


def leofric(*words: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | paths | environment)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    write_csv(folder / "a.csv", [*records(1, 500), record(501, currency="XXX"), record(1)])
    write_parquet(folder / "b.parquet", records(600, 700))
    return folder


@pytest.fixture(scope="module")
def lake(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    load(landing, folder)
    return folder


def test_a_run_on_ray_gives_what_a_run_in_one_process_gives_and_prints_one_document(landing: Path, lake: Path, tmp_path: Path) -> None:
    ran = leofric("run", landing, "--lake", tmp_path / "lake", "--json", LEOFRIC_UNIT_BYTES="5000")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert list(document)[:7] == ["run_id", "status", "files", "totals", "reconciled", "tables", "seconds"]
    assert (document["status"], document["reconciled"], document["totals"]["records"]) == ("succeeded", True, 603)
    assert content(tmp_path / "lake") == content(lake)
    assert "bronze: done" in ran.stderr


def test_a_run_ends_with_scoring_when_a_model_is_in_use(landing: Path, tmp_path: Path) -> None:
    load(landing, tmp_path / "lake")
    put_into_use(tmp_path / "lake")
    write_csv(tmp_path / "next.csv", records(800, 850))
    ran = leofric("run", tmp_path / "next.csv", "--lake", tmp_path / "lake", "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["scoring"]["reconciled"]
    assert [of["records"] for _, of in sorted(document["scoring"]["scored"].items())] == [601, 51]
    assert {row["transaction_id"] for row in rows(tmp_path / "lake", SCORES)} == {
        row["transaction_id"] for row in rows(tmp_path / "lake", SILVER)
    }
    again = leofric("score", "--lake", tmp_path / "lake")
    assert (again.returncode, again.stdout) == (0, "Every accepted payment has a score.\n")
    assert leofric("certificate", "verify", "--lake", tmp_path / "lake").returncode == 0
    assert "(scoring) succeeded" in leofric("certificate", "--lake", tmp_path / "lake").stdout


def test_a_replay_on_ray_gives_what_a_replay_in_one_process_gives(landing: Path, tmp_path: Path) -> None:
    for lake in (tmp_path / "ray", tmp_path / "here"):
        load(landing, lake)
        correct(lake, {items_of(lake)[501]: {"currency": "GBP"}})
    ran = leofric("quarantine", "replay", "--lake", tmp_path / "ray", "--json")
    assert ran.returncode == 0, ran.stderr
    here = replayed(tmp_path / "here")
    document = json.loads(ran.stdout)
    assert (document["kind"], document["totals"], document["files"]) == ("replay", here["totals"], here["files"])
    assert told(tmp_path / "ray") == told(tmp_path / "here")
    assert leofric("certificate", "verify", "--lake", tmp_path / "ray").returncode == 0
    again = leofric("quarantine", "replay", "--lake", tmp_path / "ray")
    assert (again.returncode, "no correction is approved" in again.stderr) == (1, True)


def test_a_rejected_file_is_said_on_every_way_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    (tmp_path / "landing/b.csv").write_bytes(b"")
    ran = leofric("run", "landing", "--lake", "lake", cwd=tmp_path)
    assert ran.returncode == 1
    assert "rejected: file_empty" in ran.stdout
    assert len(rows(tmp_path / "lake", SILVER)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nowhere", "--lake", "lake"], "nowhere: there is no such file or folder"),
        (["run", ".", "--lake", "lake", "--zone", "Mars"], "is not a time zone"),
        (["run", ".", "--lake", "lake", "--storage-option", "x"], "NAME=VALUE"),
        (["run", "."], "--lake"),
        (["query", "drop table silver_transactions", "--lake", "LAKE"], "the query cannot be run"),
        (["query", "select nonsense", "--lake", "LAKE"], "nonsense"),
        (["query", "copy (select 1) to 'stolen.csv'", "--lake", "LAKE"], "disabled"),
        (["query", "select * from read_csv('/etc/passwd')", "--lake", "LAKE"], "disabled"),
        (["fly"], "No such command"),
    ],
)
def test_wrong_usage_is_said_and_exits_with_2(lake: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "x.csv").write_bytes(csv_bytes([]))
    ran = leofric(*[str(lake) if word == "LAKE" else word for word in words], cwd=tmp_path)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("words", [["certificate"], ["tables"], ["query", "select 1"], ["certificate", "verify"]])
def test_a_lake_that_is_not_there_is_said_and_not_made(tmp_path: Path, words: list[str]) -> None:
    ran = leofric(*words, "--lake", tmp_path / "none")
    assert ran.returncode == 1
    assert "there is no lake at" in ran.stderr
    assert not (tmp_path / "none").exists()


def test_query_answers_in_every_format(lake: Path) -> None:
    sql = "select channel, count(*) as n from silver_transactions group by 1 order by 1"
    assert json.loads(leofric("query", sql, "--lake", lake, "--format", "json").stdout) == [{"channel": "FPS", "n": 601}]
    assert list(csv.reader(leofric("query", sql, "--lake", lake, "--format", "csv").stdout.splitlines())) == [
        ["channel", "n"],
        ["FPS", "601"],
    ]
    assert "601" in leofric("query", sql, "--lake", lake).stdout


def test_certificates_and_tables_are_shown(lake: Path) -> None:
    shown = json.loads(leofric("certificate", "--lake", lake, "--json").stdout)
    assert leofric("certificate", "--lake", lake, shown["run_id"]).stdout.count("603") >= 1
    assert leofric("certificate", "--lake", lake, "nobody").returncode == 1
    assert {row["table"]: row["rows"] for row in json.loads(leofric("tables", "--lake", lake, "--json").stdout)}[
        "silver/transactions"
    ] == 601


def test_a_tampered_table_is_found_and_its_run_named(landing: Path, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    run_id = load(landing, tmp_path)["run_id"]
    assert leofric("certificate", "verify", "--lake", tmp_path).returncode == 0
    DeltaTable(tmp_path / SILVER.path).update(updates={"amount_minor": "amount_minor + 1"}, predicate="transaction_id = 'T000007'")
    found = leofric("certificate", "verify", "--lake", tmp_path, "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["first_fault"] == run_id
    assert "minor units of GBP" in found.stdout


HELP = """
import os
import sys
import pipelines.__main__
sys.argv = ["leofric", "--help"]
os._exit = lambda code: sys.exit(3 if "ray" in sys.modules else code)
pipelines.__main__.main()
"""


def test_help_does_not_import_ray() -> None:
    ran = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert "certificate" in ran.stdout


def test_two_runs_at_once_on_one_lake_both_end_well_or_one_says_that_it_is_busy(landing: Path, lake: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.one_run", str(landing), str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]  # which also closes their pipes
    failed = [text for process, text in zip(both, said, strict=True) if process.returncode != 0]
    assert len(failed) < 2
    assert all("another run holds the lake" in text for text in failed)
    assert content(tmp_path) == content(lake)


def test_a_worker_that_is_killed_is_replaced_and_the_run_goes_on(landing: Path, lake: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "run", str(landing), "--lake", str(tmp_path), "--json"]
    said, killed = [], 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | SMALL_UNITS) as run:
        assert run.stderr is not None
        for line in run.stderr:
            said.append(line)
            if line.startswith(("open", "ingest")):
                killed += _kill_a_worker_of(run.pid)
    assert run.returncode == 0, "".join(said)
    assert killed > 0
    assert content(tmp_path) == content(lake)


def _kill_a_worker_of(driver: int) -> int:
    for _ in range(100):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                name = (folder / "cmdline").read_bytes()
                if name.startswith(b"ray::Map") and _descends(int(folder.name), driver):
                    os.kill(int(folder.name), signal.SIGKILL)
                    return 1
            except (FileNotFoundError, ProcessLookupError):
                continue
        time.sleep(0.05)
    return 0


def _descends(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        try:
            process = int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False  # it has ended
    return False


def test_landing_and_lake_in_s3_give_what_local_ones_give(landing: Path, lake: Path, tmp_path: Path) -> None:
    from app.lake.storage import Storage
    from tests.support.lake import content_of

    with s3.server(tmp_path) as options:
        for path in landing.iterdir():
            Storage("s3://landing/day", options).put(path.name, path.read_bytes())
        words = [word for name, value in options.items() for word in ("--storage-option", f"{name}={value}")]
        ran = leofric("run", "s3://landing/day", "--lake", "s3://lakes/one", "--json", *words)
        assert ran.returncode == 0, ran.stderr
        again = leofric("run", "s3://landing/day/*.csv", "--lake", "s3://lakes/one", "--json", *words)
        assert [file["status"] for file in json.loads(again.stdout)["files"]] == ["already_loaded"]
        assert leofric("certificate", "verify", "--lake", "s3://lakes/one", *words).returncode == 0
        without_source = {name: [row.split("source_uri")[0] for row in held] for name, held in content(lake).items()}
        in_s3 = content_of(Storage("s3://lakes/one", options))
        assert {name: [row.split("source_uri")[0] for row in held] for name, held in in_s3.items()} == without_source


def test_a_driver_that_is_killed_leaves_nobody_who_writes_and_the_next_run_makes_it_good(landing: Path, lake: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "run", str(landing), "--lake", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | SMALL_UNITS) as run:
        assert run.stderr is not None
        next(line for line in run.stderr if line.startswith("ingest"))
        started = {process: _name(process) for process in _processes() if process != run.pid and _descends(process, run.pid)}
        run.kill()
    agents = [process for process, name in started.items() if b"Agent" in name]  # of Ray's own; they outlive their raylet for a while
    try:
        writers = started.keys() - agents
        assert len(writers) > 2
        assert _all_end(writers)
    finally:
        for process in agents:
            if _name(process) == started[process]:
                os.kill(process, signal.SIGKILL)
    load(landing, tmp_path)
    assert content(tmp_path) == content(lake)


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _name(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _all_end(processes: Iterable[int]) -> bool:
    for _ in range(300):
        if not any(_name(process) for process in processes):
            return True
        time.sleep(0.1)
    return False
