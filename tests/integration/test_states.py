"""What a lake was: the history of its tables, and queries of an earlier state of them all."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from app.contracts.lake import QUARANTINE, SILVER, TABLES
from app.contracts.row_keys import key_of
from app.errors import LakeNotFound, UsageError
from app.lake import delta
from pipelines.cli import app
from tests.support.lake import NOW, asked, load, opened
from tests.support.landing import record, records, write_csv

FIGURES = """select (select count(*) from silver_transactions) as silver, (select count(*) from bronze_transactions) as bronze,
    (select count(*) from quarantine_transactions) as quarantine, (select coalesce(sum(transactions), 0) from gold_account_daily) as gold,
    (select count(*) from control_runs) as runs"""


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[datetime]]:
    """A lake, the runs of three days, and a time right after each."""
    folder = tmp_path_factory.mktemp("three_days")
    run_ids, after = [], []
    for day in range(3):
        write_csv(folder / f"{day}/a.csv", [*records(1 + 10 * day, 10 + 10 * day), record(900 + day, currency="XXX")])
        run_ids.append(load(folder / str(day), folder / "lake", now=NOW + timedelta(days=day))["run_id"])
        time.sleep(0.005)  # commits are timed in milliseconds
        after.append(datetime.now(UTC))
        time.sleep(0.005)
    return folder / "lake", run_ids, after


def figures(day: int) -> dict[str, int]:
    """What FIGURES finds after the run of a day, counted from 0."""
    return {"silver": 10 * (day + 1), "bronze": 11 * (day + 1), "quarantine": day + 1, "gold": 10 * (day + 1), "runs": day + 1}


def test_history_says_of_each_version_which_run_made_it_and_what_the_table_had(three_days: tuple[Path, list[str], list[datetime]]) -> None:
    lake, run_ids, after = three_days
    ran = leofric("history", "silver_transactions", "--lake", lake, "--json")
    assert ran.exit_code == 0, ran.output
    versions = json.loads(ran.stdout)
    assert [(row["version"], row["sequence"], row["run_id"], row["rows"]) for row in versions] == [
        (3, 3, run_ids[2], 30), (2, 2, run_ids[1], 20), (1, 1, run_ids[0], 10), (0, None, None, 0),
    ]  # fmt: skip
    assert [row["operation"] for row in versions] == ["WRITE", "WRITE", "WRITE", "CREATE TABLE"]
    assert datetime.fromisoformat(versions[0]["at"]) <= after[2]
    newest = opened(lake).table(SILVER)
    assert (versions[0]["bytes"], versions[0]["files"]) == (delta.rows_and_bytes(newest)[1], len(newest.file_uris()))
    assert len(json.loads(leofric("history", "silver/transactions", "--lake", lake, "--json", "--limit", 2).stdout)) == 2


def test_an_unknown_table_is_told_with_the_nearest_name(three_days: tuple[Path, list[str], list[datetime]]) -> None:
    ran = leofric("history", "silver_transaction", "--lake", three_days[0])
    assert (ran.exit_code, "did you mean silver_transactions?" in ran.stderr) == (2, True)


@pytest.mark.parametrize("day", [0, 1, 2])
def test_a_query_as_of_a_run_or_a_time_sees_all_tables_as_that_run_left_them(
    three_days: tuple[Path, list[str], list[datetime]], day: int
) -> None:
    lake, run_ids, after = three_days
    for when in (run_ids[day], after[day].isoformat()):
        (row,) = asked(opened(lake), FIGURES, [when]).to_pylist()
        assert {name: int(value) for name, value in row.items()} == figures(day)
    ran = leofric("query", FIGURES, "--lake", lake, "--as-of", run_ids[day], "--format", "json")
    assert json.loads(ran.stdout) == [figures(day)]


def test_versions_of_single_tables_can_be_compared_and_no_other_table_is_there(
    three_days: tuple[Path, list[str], list[datetime]],
) -> None:
    lake = opened(three_days[0])
    both = "select (select count(*) from silver_transactions), (select count(*) from bronze_transactions)"
    (row,) = asked(lake, both, ["silver/transactions=1", "bronze_transactions=3"]).to_pylist()
    assert list(row.values()) == [10, 33]
    with pytest.raises(UsageError, match="as of silver/transactions=1, when there were silver_transactions"):
        asked(lake, both, ["silver/transactions=1"])


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        (["2"], "a version is one table's; write TABLE=2"),
        (["2026-03-04T18:00"], "nor a time with its zone"),
        (["20260304T090000Z-nobody"], "neither a run of this lake"),
        (["silver/transactions=4"], "has the versions 0 to 3"),
        (["silver/transactions=1", "2026-03-04T18:00Z"], "one run or time"),
        (["silver/transaction=1"], r"did you mean silver/transactions\?"),
    ],
)
def test_what_names_no_state_is_refused(three_days: tuple[Path, list[str], list[datetime]], as_of: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked(opened(three_days[0]), "select 1", as_of)


def test_a_time_before_the_first_run_has_no_state(three_days: tuple[Path, list[str], list[datetime]]) -> None:
    with pytest.raises(LakeNotFound, match="had no run by"):
        asked(opened(three_days[0]), "select 1", ["2001-01-01T00:00Z"])


def applied(changes: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """What a consumer who began with nothing has."""
    held: dict[str, dict[str, Any]] = {}
    for change in changes:
        if change["_change_type"] in ("insert", "update_postimage"):
            held[change[key]] = change
        else:
            del held[change[key]]
    return held


def test_the_changes_of_a_table_say_what_each_run_did(three_days: tuple[Path, list[str], list[datetime]], tmp_path: Path) -> None:
    lake, run_ids, after = three_days
    ran = leofric("changes", "silver_transactions", "--lake", lake, "--since", run_ids[0])
    assert ran.exit_code == 0, ran.output
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {(row["_change_type"], row["_commit_version"], row["run_id"]) for row in told} == {
        ("insert", 2, run_ids[1]),
        ("insert", 3, run_ids[2]),
    }
    assert sorted(row["transaction_id"] for row in told) == [f"T{number:06d}" for number in range(11, 31)]
    assert leofric("changes", "silver_transactions", "--lake", lake, "--since", 1, "--until", after[2].isoformat()).stdout == ran.stdout
    again = [json.loads(line) for line in leofric("changes", "gold_channel_daily", "--lake", lake, "--since", 0).stdout.splitlines()]
    assert {"insert", "update_preimage", "update_postimage"} == {row["_change_type"] for row in again}
    held = {row["booking_date"]: row["transactions"] for row in applied(again, "booking_date").values()}
    figures = asked(opened(lake), "select booking_date::text as day, transactions from gold_channel_daily").to_pylist()
    assert held == {row["day"]: row["transactions"] for row in figures}
    out = tmp_path / "feed.arrow"
    ran = leofric("changes", "quarantine_transactions", "--lake", lake, "--since", 0, "--format", "arrow", "--output", out)
    assert "3 changes of quarantine/transactions from version 0 to 3" in ran.stdout
    with pa.OSFile(str(out)) as file:
        fed = pa.ipc.open_file(file).read_all()
    assert fed.schema.names[-3:] == ["_change_type", "_commit_version", "_commit_timestamp"]
    assert (
        fed["raw_record"].to_pylist() == opened(lake).table(QUARANTINE).to_pyarrow_table().sort_by("ingested_at")["raw_record"].to_pylist()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("silver_transactions", "--since", "3", "--until", "1"), "changes go forward"),
        (("silver_transactions", "--since", "9"), "has the versions 0 to 3"),
        (("control_runs", "--since", "2026-03-04T18:00Z"), "is not written by runs"),
        (("silver_transactions", "--since", "0", "--format", "arrow"), "needs --output"),
    ],
)
def test_changes_that_cannot_be_are_refused(
    three_days: tuple[Path, list[str], list[datetime]], words: tuple[str, ...], message: str
) -> None:
    ran = leofric("changes", *words, "--lake", three_days[0])
    assert (ran.exit_code, message in ran.stderr) == (2, True)


def test_every_table_has_a_key_that_its_rows_keep(three_days: tuple[Path, list[str], list[datetime]]) -> None:
    for contract in TABLES:
        assert key_of(contract), contract.path
        rows = opened(three_days[0]).table(contract).to_pyarrow_table().select(key_of(contract))
        assert rows.group_by(list(key_of(contract))).aggregate([]).num_rows == rows.num_rows
