"""SQL by somebody who does not see everything: what is masked, that joins hold, and that no statement gets round it."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from app.compliance.access import Clearance, visible
from app.compliance.masking import STARS, TOKEN_PREFIX, Treatment, token, token_key
from app.compliance.roles import Role
from app.contracts.lake import ACCOUNT_DAILY, SILVER, TABLES
from app.contracts.table import Classification, TableContract
from app.errors import UsageError
from app.lake.lake import Lake
from pipelines.query import query
from pipelines.seen_dataset import seen
from tests.support.lake import asked, load, opened
from tests.support.landing import record, records, write_csv

SECRETS = ("10000007", "20000007", "payment 7", "pay-to-mallory", "990001-10000007")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with payments, and records in quarantine."""
    folder = tmp_path_factory.mktemp("asked")
    to_own = record(303, counterparty_sort_code="990001", counterparty_account="10000007")
    write_csv(folder / "landing/a.csv", [*records(1, 300), record(301, description="pay-to-mallory"), record(302, amount="x"), to_own])
    load(folder / "landing", folder / "lake")
    return folder


@pytest.fixture(scope="module")
def lake(folder: Path) -> Lake:
    return opened(folder / "lake")


def as_(lake: Lake, *roles: Role) -> Clearance:
    return Clearance(visible(roles), lake.key)


def by(lake: Lake, role: Role, sql: str) -> list[dict[str, object]]:
    return list(query(lake, sql, as_(lake, role)).to_pylist())


def token_of(lake: Lake, value: str) -> str:
    return token(value.encode(), token_key(lake.key))


def test_each_role_sees_columns_by_their_class(lake: Lake) -> None:
    sql = "select account_number, description, amount_minor, run_id from silver_transactions where transaction_id = 'T000007'"
    (whole,) = asked(lake, sql).to_pylist()
    assert (whole["account_number"], whole["description"]) == ("10000007", "payment 7")
    for role in (Role.REVIEWER, Role.APPROVER):
        assert by(lake, role, sql) == [whole]
    tokens = {"account_number": token_of(lake, "10000007"), "description": token_of(lake, "payment 7")}
    for role in (Role.ENGINEER, Role.ANALYST):
        assert by(lake, role, sql) == [whole | tokens]
    assert by(lake, Role.AUDITOR, sql) == [whole | {"account_number": STARS, "description": STARS}]
    nothing = {"account_number": None, "description": None, "amount_minor": None}
    (first, *_) = by(lake, Role.SERVICE, "select account_number, description, amount_minor, run_id from silver_transactions")
    assert first == whole | nothing


def test_a_raw_value_finds_nothing_and_its_token_does(lake: Lake) -> None:
    count = "select count(*) as n from silver_transactions where account_number {}"
    expected = asked(lake, count.format("= '10000007'")).to_pylist()
    assert expected[0]["n"] > 1
    ranges = ("between '10000006' and '10000008'", "> '1' and account_number < '2'")
    for condition in ("= '10000007'", "in ('10000007', '10000008')", "like '1000000%'", *ranges):
        assert by(lake, Role.ANALYST, count.format(condition)) == [{"n": 0}], condition
    assert by(lake, Role.ANALYST, count.format(f"= '{token_of(lake, '10000007')}'")) == expected
    assert by(lake, Role.AUDITOR, count.format("= '10000007'")) == [{"n": 0}]
    assert by(lake, Role.SERVICE, count.format("is not null")) == [{"n": 0}]


def test_a_filter_on_a_column_that_is_not_selected_is_of_masked_values(lake: Lake) -> None:
    sql = "select amount_minor from silver_transactions where account_number = '{}' and booking_date >= '2026-03-01' and channel = 'FPS'"
    expected = sorted(row["amount_minor"] for row in asked(lake, sql.format("10000007")).to_pylist())
    assert by(lake, Role.ANALYST, sql.format("10000007")) == []
    assert sorted(int(str(row["amount_minor"])) for row in by(lake, Role.ANALYST, sql.format(token_of(lake, "10000007")))) == expected


def test_joins_by_tokens_across_tables_find_what_joins_by_values_find(lake: Lake) -> None:
    for sql in (
        "select count(*) as n, sum(d.debits) as d from silver_transactions join gold_account_daily d using (account_number, booking_date)",
        "select count(*) as n from silver_transactions a join silver_transactions b on a.payer = b.payee",
        "select count(distinct account_number) as n, count(distinct payer) as payers from silver_transactions",
        "select count(*) as n from bronze_transactions b join silver_transactions s on b.account_number = s.account_number",
    ):
        expected = asked(lake, sql).to_pylist()
        assert expected[0]["n"] > 0
        for role in (Role.ENGINEER, Role.ANALYST):
            assert by(lake, role, sql) == expected, sql


def test_sums_of_what_may_be_seen_are_the_same(lake: Lake) -> None:
    sql = "select channel, count(*) as n, sum(amount_minor) as total from silver_transactions where booking_date = '2026-03-02' group by 1"
    assert by(lake, Role.AUDITOR, sql) == asked(lake, sql).to_pylist()


def test_every_column_of_every_table_is_as_the_policy_says(lake: Lake) -> None:
    for contract in TABLES:
        whole = asked(lake, f"select * from {contract.name}")
        for role in Role:
            treatments = visible({role})
            found = query(lake, f"select * from {contract.name}", as_(lake, role))
            assert (found.num_rows, found.schema.names) == (whole.num_rows, whole.schema.names)
            for column in contract.columns:
                treatment = treatments[column.classification]
                if treatment is Treatment.CLEAR:
                    assert found[column.name] == whole[column.name]
                elif treatment is Treatment.NOTHING:
                    assert found[column.name].null_count == found.num_rows
                else:
                    real = {value for value in whole[column.name].to_pylist() if value is not None}
                    assert real.isdisjoint(found[column.name].to_pylist()), (contract.path, column.name, role)


HOSTILE = [
    "select * from read_parquet('{lake}/silver/transactions/**/*.parquet')",
    "select * from parquet_scan('{lake}/silver/transactions/**/*.parquet')",
    "select * from '{lake}/silver/transactions/**/*.parquet'",
    "from '{landing}/a.csv'",
    "select * from read_csv('{landing}/a.csv')",
    "select * from read_csv_auto('{landing}/a.csv')",
    "select * from read_text('{landing}/a.csv')",
    "select * from read_blob('{landing}/a.csv')",
    "select * from read_json('{lake}/_leofric/lake.json')",
    "select * from glob('{lake}/**')",
    "select * from delta_scan('{lake}/silver/transactions')",
    "select * from query('select * from read_csv(''{landing}/a.csv'')')",
    "select * from query_table('{landing}/a.csv')",
    "copy silver_transactions to '{lake}/stolen.csv'",
    "copy (select 1) to '{lake}/stolen.parquet' (format parquet)",
    "create table stolen (a varchar); copy stolen from '{landing}/a.csv'",
    "export database '{lake}/stolen'",
    "attach '{lake}/stolen.db' as stolen",
    "attach 's3://bucket/stolen.db' as stolen",
    "install httpfs",
    "load httpfs",
    "load '{lake}/stolen.so'",
    "select * from duckdb_secrets()",
    "create secret (type s3, key_id 'a', secret 'b')",
    "set enable_external_access = true",
    "set python_enable_replacements = true",
    "reset python_enable_replacements",
    "set allowed_directories = ['{lake}']",
    "pragma enable_external_access = true",
    "set lock_configuration = false",
    "set temp_directory = '{lake}'",
    "select getenv('HOME')",
    "select * from python_arrow_scan()",
    "select * from python_arrow_scan(1)",
    "select * from arrow_scan(1, 2, 3)",
    "select * from arrow_scan(94000000000000::ubigint, 94000000000000::ubigint, 94000000000000::ubigint)",
    "select * from pandas_scan(1)",
    "select * from raw",
    "select * from in_reach",
    "select * from query('select * from in_reach')",
    "select * from query_table('in_reach')",
    "select * from sniff_csv('{landing}/a.csv')",
    "import database '{lake}'",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_reaches_what_is_not_a_table(folder: Path, lake: Lake, sql: str) -> None:
    in_reach = pa.table({"account_number": ["10000007"]})  # a variable of Python's: DuckDB would look for tables among them
    before = {path for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError):
        query(lake, sql.format(lake=folder / "lake", landing=folder / "landing"), as_(lake, Role.ANALYST))
    assert {path for path in folder.rglob("*") if path.is_file()} == before
    assert in_reach.num_rows == 1


@pytest.mark.parametrize(
    "sql",
    [
        "select * from duckdb_views()",
        "select * from duckdb_tables()",
        "select * from duckdb_settings()",
        "select * from duckdb_columns()",
        "select * from sqlite_master",
        "select * from information_schema.tables",
        "select * from pg_catalog.pg_class",
        "describe silver_transactions",
        "summarize silver_transactions",
        "explain analyze select * from silver_transactions where account_number = '10000007'",
        "select min(account_number), max(account_number), histogram(account_number) from silver_transactions",
        "select * from silver_transactions order by account_number limit 5",
        "select * from quarantine_transactions",
        "select raw_record::varchar from quarantine_transactions",
        "select string_agg(coalesce(payer, '') || coalesce(payee, '') || coalesce(description, ''), ',') from silver_transactions",
        "with silver_transactions as (from silver_transactions) select * from silver_transactions",
        "select s from silver_transactions s",
        "select to_json(s)::varchar from silver_transactions s",
        "pivot silver_transactions on channel using max(account_number)",
        "create table mine as select * from silver_transactions; select * from mine",
        "create view mine as select * from silver_transactions; select * from mine",
        "select * from query('select * from silver_transactions')",
        "select * from query_table('silver_transactions')",
        "select lead(description) over (order by account_number) from silver_transactions",
        "select * from silver_transactions tablesample 50%",
    ],
)
def test_what_can_be_asked_says_no_personal_value(lake: Lake, sql: str) -> None:
    for role in (Role.ANALYST, Role.AUDITOR, Role.SERVICE):
        said = str(query(lake, sql, as_(lake, role)).to_pylist())
        asked_for = "10000007" if "= '10000007'" in sql else None
        assert not [secret for secret in SECRETS if secret in said and secret != asked_for], sql


@pytest.mark.parametrize(
    "sql",
    [
        "select account_number::int from silver_transactions",
        "select error(account_number) from silver_transactions",
        "select cast(description as date) from silver_transactions",
        "select strptime(payer, '%Y') from silver_transactions",
        "select (select account_number from silver_transactions)",
    ],
)
def test_an_error_says_no_personal_value(lake: Lake, sql: str) -> None:
    with pytest.raises(UsageError) as raised:
        query(lake, sql, as_(lake, Role.ANALYST))
    assert not [secret for secret in SECRETS if secret in str(raised.value)]
    assert "1000" not in str(raised.value)


def test_only_columns_that_a_query_touches_are_masked(lake: Lake) -> None:
    masked: list[set[str]] = []

    class Watched(Clearance):
        def of(self, table: pa.Table, contract: TableContract) -> pa.Table:
            if table.num_rows and contract is SILVER:
                masked.append(set(table.column_names))
            return super().of(table, contract)

    watched = Watched(visible({Role.ANALYST}), lake.key)
    query(lake, "select sum(amount_minor) from silver_transactions where account_number = 'x'", watched)
    assert masked
    assert all(names == {"amount_minor", "account_number"} for names in masked)
    masked.clear()
    query(lake, "select channel, count(*) from silver_transactions group by 1", watched)
    assert all(names == {"channel"} for names in masked)


def test_a_filter_on_columns_that_may_be_seen_leaves_files_of_other_days_unread(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "lake", tmp_path / "lake")
    (other,) = (tmp_path / "lake/silver/transactions/booking_date=2026-03-03").glob("*.parquet")
    other.unlink()
    half, sql = opened(tmp_path / "lake"), "select count(*) as n from silver_transactions where account_number <> '1' and {}"
    assert by(half, Role.ANALYST, "select count(account_number) as n from silver_transactions where booking_date = '2026-03-02'")[0]["n"]
    with pytest.raises(UsageError, match=other.name):
        by(half, Role.ANALYST, sql.format("true"))


def test_a_table_of_which_nothing_is_hidden_is_given_as_it_is(lake: Lake) -> None:
    raw = lake.table(ACCOUNT_DAILY).to_pyarrow_dataset()
    assert seen(raw, ACCOUNT_DAILY, as_(lake, Role.APPROVER)) is raw
    assert seen(raw, ACCOUNT_DAILY, as_(lake, Role.ANALYST)) is not raw
    assert not as_(lake, Role.ANALYST).is_clear(Classification.PERSONAL)
    assert token_of(lake, "10000007").startswith(TOKEN_PREFIX)
