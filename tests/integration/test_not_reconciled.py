"""A run whose tables do not hold what its readers counted publishes nothing, says so, and can be done again."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.contracts.lake import AUDIT, RUNS, TABLES
from pipelines import cli, verify
from tests.support.lake import content, load, opened, rows
from tests.support.landing import record, records, write_csv
from tests.support.tampering import Tamper, Tampering, change_a_currency, cut_in_half, double_a_row, drop_a_row, move_a_penny, remove

FAULTS = [
    (drop_a_row, "is in no table"),
    (double_a_row, "in the tables more than once"),
    (move_a_penny, "minor units"),
    (change_a_currency, "minor units"),
    (cut_in_half, "cannot be read back"),
    (remove, "cannot be read back"),
]


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    write_csv(tmp_path / "landing/a.csv", [*records(1, 30), record(31, currency="XXX"), record(1)])
    return tmp_path / "landing"


@pytest.mark.parametrize(("tamper", "said"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_it_publishes_nothing_but_a_certificate_that_says_failed(landing: Path, tmp_path: Path, tamper: Tamper, said: str) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    certificate = load(landing, lake, executor=Tampering(lake, tamper))
    assert (certificate["status"], certificate["reconciled"]) == ("failed", False)
    assert said in certificate["error"]
    assert [file["error"]["code"] for file in certificate["files"]] == ["not_reconciled"]
    assert [len(rows(lake, contract)) for contract in TABLES if contract not in (RUNS, AUDIT)] == [0] * (len(TABLES) - 2)
    assert [(row["action"], row["result"]) for row in rows(lake, AUDIT)] == [("run", "failed")]
    told = (lake / RUNS.path, lake / AUDIT.path)
    assert [path for path in lake.rglob("part-*.parquet") if path.parent not in told] == []
    assert not any(verdict.faults for verdict in verify.verify(opened(lake)))


def test_the_next_run_loads_the_same_files_as_if_nothing_had_been(landing: Path, tmp_path: Path) -> None:
    for name in ("lake", "unbroken"):
        (tmp_path / name).mkdir()
    load(landing, tmp_path / "lake", executor=Tampering(tmp_path / "lake", drop_a_row))
    certificate = load(landing, tmp_path / "lake")
    assert (certificate["status"], certificate["sequence"]) == ("succeeded", 2)
    load(landing, tmp_path / "unbroken")
    assert content(tmp_path / "lake") == content(tmp_path / "unbroken")
    assert not any(verdict.faults for verdict in verify.verify(opened(tmp_path / "lake")))


def test_the_command_says_why_and_exits_with_1(landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = tmp_path / "lake"
    monkeypatch.setattr("pipelines.session.start_ray", lambda _: lambda: None)
    monkeypatch.setattr("pipelines.executor.RayData", lambda _: Tampering(lake, move_a_penny))
    ran = CliRunner().invoke(cli.app, ["run", str(landing), "--lake", str(lake)])
    assert ran.exit_code == 1
    assert "failed" in ran.output
    assert "minor units" in ran.output
