"""The modulus weight table in a lake: loaded, refused, listed, used by the runs of its days."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.lake.storage import Storage
from app.reference.modulus import synthetic, synthetic_files
from pipelines import cli, reference
from tests.support.lake import NOW, load, load_modulus_table, opened, rows
from tests.support.landing import record, write_csv

GOOD = {"sort_code": "089999", "account_number": "66374958"}
BAD = {"sort_code": "089999", "account_number": "66374959"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    valacdos, scsubtab = tmp_path / "valacdos-v999.txt", tmp_path / "scsubtab.txt"
    for path, data in zip((valacdos, scsubtab), synthetic_files(), strict=True):
        path.write_bytes(data)
    return valacdos, scsubtab


def words(files: tuple[Path, Path], lake: Path, *more: str) -> list[str]:
    return ["reference", "load", "modulus", "--valacdos", str(files[0]), "--scsubtab", str(files[1]), "--lake", str(lake), *more]


def test_accounts_are_checked_by_the_table_in_force_and_silver_says_by_which(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", [record(1, **GOOD), record(2, **BAD), record(3)])
    load_modulus_table(tmp_path / "lake")
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["totals"]["by_reason"] == {"modulus_failed": 1}
    assert certificate["modulus"] == {
        "table": "synthetic", "sha256": synthetic().sha256, "in_force_from": "2026-01-01", "accounts": {"not_checked": 1, "valid": 1}
    }  # fmt: skip
    held = {row["transaction_id"]: row for row in rows(tmp_path / "lake", SILVER)}
    assert [held[f"T{n:06d}"]["account_check"] for n in (1, 3)] == ["valid", "not_checked"]
    assert {row["modulus_table"] for row in held.values()} == {"synthetic"}


def test_without_a_table_nothing_is_checked_and_that_is_said(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", [record(1, **BAD)])
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["modulus"] == {"table": None, "sha256": None, "in_force_from": None, "accounts": {"not_checked": 1}}
    (row,) = rows(tmp_path / "lake", SILVER)
    assert (row["account_check"], row["counterparty_check"], row["modulus_table"]) == ("not_checked", "not_checked", None)
    shown = CliRunner().invoke(cli.app, ["certificate", "--lake", str(tmp_path / "lake")])
    assert "accounts were not checked" in shown.output


def test_a_table_counts_from_the_day_from_which_it_is_in_force(tmp_path: Path, files: tuple[Path, Path]) -> None:
    lake = Storage(str(tmp_path / "lake"))
    (tmp_path / "lake").mkdir()
    for version, day in (("old", date(2026, 3, 1)), ("next", date(2026, 3, 6))):
        reference.load_modulus(lake, *files, version, day, bytes(16), NOW)
    versions = []
    for days in (-5, 0, 1, 2, 30):
        write_csv(tmp_path / f"{days}/a.csv", [record(100 + days, **GOOD)])
        versions.append(load(tmp_path / str(days), tmp_path / "lake", now=NOW + timedelta(days=days))["modulus"]["table"])
    assert versions == [None, "old", "old", "next", "next"]


def test_the_command_loads_lists_and_warns_of_what_is_old(tmp_path: Path, files: tuple[Path, Path]) -> None:
    run = CliRunner()
    none = run.invoke(cli.app, ["reference", "list", "--lake", str(tmp_path / "lake")])
    assert none.exit_code == 1  # there is no lake yet
    loaded = run.invoke(cli.app, words(files, tmp_path / "lake", "--from", "2020-01-01"))
    assert loaded.exit_code == 0, loaded.output
    assert "modulus v999: 26 rows, in force from 2020-01-01" in loaded.output
    again = run.invoke(cli.app, words(files, tmp_path / "lake", "--from", "2020-01-01"))
    assert again.exit_code == 2
    assert "already" in again.output
    listed = run.invoke(cli.app, ["reference", "list", "--lake", str(tmp_path / "lake")])
    assert listed.exit_code == 0
    assert "v999" in listed.output
    assert "about once a month" in listed.output
    fresh = run.invoke(cli.app, words(files, tmp_path / "lake", "--version", "v1000"))
    assert fresh.exit_code == 0, fresh.output
    assert "about once a month" not in run.invoke(cli.app, ["reference", "list", "--lake", str(tmp_path / "lake")]).output


def test_a_table_that_fails_the_published_cases_is_refused_and_nothing_is_kept(tmp_path: Path, files: tuple[Path, Path]) -> None:
    spoilt = files[0].read_text().replace("089000 089999 MOD10    7    8", "089000 089999 MOD10    7    7")
    files[0].write_text(spoilt)
    refused = CliRunner().invoke(cli.app, words(files, tmp_path / "lake"))
    assert refused.exit_code == 2
    assert "test cases fail with this table, first 089999 66374958 (modulus 10)" in refused.output
    assert not (tmp_path / "lake").exists()


def test_a_file_that_is_not_there_or_not_in_its_form_is_named(tmp_path: Path, files: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="none.txt cannot be read"):
        reference.load_modulus(Storage(str(tmp_path)), tmp_path / "none.txt", files[1], None, None, bytes(16))
    files[0].write_text("<html>\n")
    with pytest.raises(UsageError, match="line 1 is not two sort codes"):
        reference.load_modulus(Storage(str(tmp_path)), *files, None, None, bytes(16))


def test_a_lake_without_a_table_in_force_is_warned_of(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", [record(1)])
    load(tmp_path / "landing", tmp_path / "lake")
    (sentence,) = reference.stale(reference.listed(opened(tmp_path / "lake"), datetime.now(UTC).date()))
    assert "no modulus weight table is in force" in sentence
