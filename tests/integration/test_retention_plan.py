"""What a plan of retention says of a lake: by clocks, relationships, holds and changed rules."""

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.lake import ACCOUNT_DAILY, BRONZE, CHANNEL_DAILY, DUPLICATES, QUARANTINE, SILVER, TABLES
from pipelines.cli import app
from pipelines.retention_plan import document, plan
from tests.support.lake import NOW, content, opened, rows
from tests.support.old_lake import THEN, TODAY, account, make

LONG_AGO = date(2019, 6, 4)  # six years after the oldest payment


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return make(tmp_path, NOW)


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> Any:
    ran = leofric(*words, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def goes(lake: Path, on: date) -> dict[str, int]:
    """By table, how many rows would go on a day."""
    return _by_table(document(opened(lake), plan(opened(lake), on))["months"], ("must_go", "may_go"))


def held(lake: Path, on: date) -> dict[str, int]:
    return _by_table(document(opened(lake), plan(opened(lake), on))["months"], ("held",))


def _by_table(months: Iterable[dict[str, Any]], names: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for month in months:
        found[month["table"]] = found.get(month["table"], 0) + sum(month[name] for name in names)
    return {table: count for table, count in found.items() if count}


def relate(lake: Path, *lines: str) -> None:
    file = lake.parent / "who.csv"
    file.write_text("\n".join(["account,kind,ended_on", *lines, ""]))
    ran = leofric("retention", "relationships", "load", file, "--lake", lake, "--in-force-from", "2014-01-01")
    assert ran.exit_code == 0, ran.output


def hold(lake: Path, *words: object) -> int:
    return int(done("retention", "hold", "add", "--lake", lake, "--why", "an inquiry", *words)["hold"])


def test_ten_years_after_they_were_booked_payments_go_and_with_them_what_is_about_them(lake: Path) -> None:
    found = goes(lake, TODAY)
    assert {path: found[path] for path in (SILVER.path, BRONZE.path, QUARANTINE.path, DUPLICATES.path, ACCOUNT_DAILY.path)} == {
        SILVER.path: 14, BRONZE.path: 16, QUARANTINE.path: 1, DUPLICATES.path: 1, ACCOUNT_DAILY.path: 14,
    }  # fmt: skip
    assert found[CHANNEL_DAILY.path] == 4  # figures without customers: five years
    assert SILVER.path not in goes(lake, date(2023, 5, 31))
    assert goes(lake, date(2023, 6, 1))[SILVER.path] == 4 + 3


def test_every_row_of_the_lake_is_in_the_plan_with_its_law(lake: Path) -> None:
    months = done("retention", "plan", "--lake", lake, "--on", TODAY)["months"]
    assert _by_table(months, ("rows",)) == {c.path: count for c in TABLES if (count := len(rows(lake, c)))}
    assert all(rule["law"] and rule["article"] for month in months for rule in month["rules"])
    (new,) = [month for month in months if (month["table"], month["month"]) == (SILVER.path, "2026-03")]
    assert (new["keep_until"], new["must_go"]) == ("2036-03-01", 0)


def test_a_plan_changes_nothing(lake: Path) -> None:
    before = content(lake)
    goes(lake, TODAY)
    assert content(lake) == before


def test_five_years_after_a_relationship_ended_its_payments_go_and_no_others(lake: Path) -> None:
    assert SILVER.path not in goes(lake, LONG_AGO)
    relate(lake, f"{account(1)},customer,2014-06-04", f"{account(2)},customer,2014-06-05", f"{account(3)},customer,")
    found = goes(lake, LONG_AGO)
    assert (found[SILVER.path], found[ACCOUNT_DAILY.path], found[BRONZE.path], found[DUPLICATES.path]) == (1, 1, 2, 1)


def test_an_occasional_customers_payments_go_five_years_after_they_were_booked(lake: Path) -> None:
    relate(lake, f"{account(1)},occasional,")
    assert goes(lake, date(2018, 6, 2))[SILVER.path] == 1  # record 1 was booked on 2 June 2013
    assert SILVER.path not in goes(lake, date(2018, 6, 1))


def test_a_hold_on_an_account_stops_its_payments_and_all_that_is_quarantined(lake: Path) -> None:
    before = goes(lake, TODAY)
    number = hold(lake, "--account", account(2))
    found = goes(lake, TODAY)
    assert (found[SILVER.path], found[ACCOUNT_DAILY.path], found[BRONZE.path]) == (13, 13, 14)
    assert QUARANTINE.path not in found
    assert held(lake, TODAY) == {SILVER.path: 1, ACCOUNT_DAILY.path: 1, QUARANTINE.path: 1}
    (month,) = [
        one for one in done("retention", "plan", "--lake", lake, "--on", TODAY)["months"] if one["held"] and one["table"] == SILVER.path
    ]
    assert month["holds"] == [number]
    assert leofric("retention", "hold", "release", number, "--lake", lake, "--why", "it is over").exit_code == 0
    assert goes(lake, TODAY) == before


def test_a_hold_on_a_run_stops_what_it_loaded_and_the_figures_made_of_it(lake: Path) -> None:
    run_id = next(row["run_id"] for row in rows(lake, SILVER) if row["ingested_at"] == THEN)
    hold(lake, "--run", run_id)
    found = goes(lake, TODAY)
    assert (found[SILVER.path], found[BRONZE.path], found[CHANNEL_DAILY.path]) == (4, 4, 1)
    assert not {QUARANTINE.path, DUPLICATES.path} & set(found)


def test_a_hold_on_a_period_stops_its_days(lake: Path) -> None:
    hold(lake, "--period", "2013-06-02/2013-06-02")
    days = sum(1 for row in rows(lake, SILVER) if row["booking_date"] == date(2013, 6, 2))
    assert goes(lake, TODAY)[SILVER.path] == 14 - days
    assert held(lake, TODAY)[SILVER.path] == days


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--account", "123"), "123 is no account"),
        (("--run", "nobody"), "no run nobody"),
        ((), "name one of --account, --run and --period"),
    ],
)
def test_a_hold_on_nothing_is_refused_and_nothing_is_kept(lake: Path, words: tuple[str, ...], said: str) -> None:
    ran = leofric("retention", "hold", "add", "--lake", lake, "--why", "an inquiry", *words)
    assert ran.exit_code != 0
    assert said in ran.output
    assert done("retention", "hold", "list", "--lake", lake, "--all") == []


def test_holds_are_in_the_audit_trail_with_who_and_why(lake: Path) -> None:
    hold(lake, "--account", account(1))
    assert leofric("retention", "hold", "release", 7, "--lake", lake, "--why", "no such").exit_code == 1
    entries = done("audit", "list", "--lake", lake, "--action", "retention.hold")
    assert [(entry["object"], entry["result"], entry["reason"]) for entry in entries] == [
        (f"account {account(1)}", "succeeded", "an inquiry"), ("hold 7", "failed", "no such"),
    ]  # fmt: skip


RULES = """
rules:
- {name: business_records, in_force_from: 2026-01-01, years: 20, clock: record_made, ending: may_erase,
   law: a law, article: "1", sentence: Long.}
- {name: payments_of_customers, in_force_from: 2030-01-01, years: 1, clock: record_made, ending: must_erase,
   law: b law, article: "2", sentence: Short.}
"""


def test_the_impact_of_a_change_of_rules_is_by_table_and_law_and_begins_with_its_day(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(RULES)
    today = done("retention", "impact", "--lake", lake, "--rules", tmp_path / "new.yaml", "--on", TODAY)
    assert {(one["table"], one["law"]) for one in today["tables"]} >= {(CHANNEL_DAILY.path, "a law")}
    assert SILVER.path not in {one["table"] for one in today["tables"]}
    (channel,) = [one for one in today["tables"] if one["table"] == CHANNEL_DAILY.path]
    assert (channel["later"], channel["earlier"], channel["go_before"], channel["go_after"]) == (5, 0, 4, 0)
    later = done("retention", "impact", "--lake", lake, "--rules", tmp_path / "new.yaml", "--on", "2030-01-01")
    (silver,) = [one for one in later["tables"] if one["table"] == SILVER.path]
    assert (silver["law"], silver["earlier"], silver["go_before"], silver["go_after"]) == ("b law", 30, 20, 30)
    assert goes(lake, TODAY)[CHANNEL_DAILY.path] == 4  # it only said what would be


def test_a_lake_is_given_rules_and_they_count_from_their_day(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(RULES)
    assert leofric("retention", "rules", "--lake", lake, "--load", tmp_path / "new.yaml", "--why", "a new law").exit_code == 0
    assert CHANNEL_DAILY.path not in goes(lake, TODAY)
    assert goes(lake, date(2025, 12, 31))[CHANNEL_DAILY.path] == 4
    named = {rule["name"]: rule["years"] for rule in done("retention", "rules", "--lake", lake, "--on", "2030-01-01")}
    assert (named["business_records"], named["payments_of_customers"]) == (20, 1)
    assert leofric("retention", "rules", "--lake", lake, "--load", tmp_path / "new.yaml", "--why", "again").exit_code == 2


def test_prefixes_for_a_buckets_lifecycle_are_those_of_the_tables_and_nothing_expires() -> None:
    found = done("retention", "tiers", "--cold-after", 90)
    assert {"table": SILVER.path, "prefix": "silver/transactions/booking_date=", "after_days": 90, "personal": True} in found["move"]
    assert found["expire"] == []
    assert not any(one["prefix"].startswith(("control/runs", "audit/log", "_leofric")) for one in found["move"])
