"""The catalogue: rows, search, and the page of the documentation."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.lake import TABLES
from app.errors import UsageError
from pipelines import catalog
from pipelines.cli import app

PAGE = Path(__file__).parents[3] / "docs/data_dictionary.md"


def leofric(*words: str) -> Any:
    return CliRunner().invoke(app, ["catalog", *words])


def test_every_table_is_listed_and_the_landing_contract() -> None:
    found = json.loads(leofric("list", "--json").stdout)
    assert [row["table"] for row in found] == ["landing", *(contract.path for contract in TABLES)]
    silver = next(row for row in found if row["sql_name"] == "silver_transactions")
    assert (silver["most_sensitive"], silver["owner"], silver["retention"]) == ("personal", "payments operations", "payments_of_customers")
    said = leofric("list").stdout
    assert "gold/channel_daily" in said
    assert "nominated officer" in said


def test_a_table_is_shown_by_its_path_or_its_name_in_sql() -> None:
    by_path, by_name = (json.loads(leofric("show", name, "--json").stdout) for name in ("silver/transactions", "silver_transactions"))
    assert by_path == by_name
    account = next(column for column in by_path["columns"] if column["column"] == "account_number")
    assert account == {
        "column": "account_number",
        "type": "string",
        "unit": "text",
        "null": "no",
        "class": "personal",
        "owner": "payments operations",
        "retention": "payments_of_customers",
        "example": "12345678",
        "meaning": "number of the booked account, eight digits",
        "rule": "matches [0-9]{8}|~[a-z2-7]{16}",
    }
    assert [(rule["rule"], rule["from"]) for rule in by_path["retention_rules"]] == [("payments_of_customers", "2017-06-26")]
    said = leofric("show", "silver/transactions").stdout
    assert "silver/transactions: accepted transactions, typed and canonical; one row a transaction_id" in said
    assert "owner: payments operations; kept by the rule payments_of_customers" in said
    assert "kept for 5 years from when the business relationship with the customer ended, at most 10 from when it was made" in said
    assert "regulation 40(2) to (5)" in said


def test_a_table_that_is_not_there_is_told_with_those_that_are() -> None:
    failed = leofric("show", "silver")
    assert failed.exit_code == 2
    assert "there is no table silver; there are landing, bronze/transactions, silver/transactions" in failed.stderr


def test_a_search_finds_the_column_of_that_name_first() -> None:
    hits = catalog.search("payer")
    assert (hits[0].table, hits[0].column) == ("silver/transactions", "payer")
    assert any(hit.column == "payee" for hit in hits), "its meaning names payer"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_search_finds_what_has_every_word() -> None:
    for hit in catalog.search("personal IBAN"):
        assert hit.classification == "personal"
        assert "iban" in f"{hit.column} {hit.meaning}".lower()
    assert {hit.column for hit in catalog.search("personal IBAN")} >= {"counterparty_iban", "payer", "account"}


def test_a_search_by_owner_finds_tables_and_their_columns() -> None:
    hits = catalog.search("nominated officer")
    assert {hit.table for hit in hits} == {"gold/scores", "gold/alerts", "control/feedback"}
    assert {hit.column for hit in hits} >= {"", "evidence", "band"}


def test_a_search_that_finds_nothing_says_nothing() -> None:
    found = leofric("search", "no-such-word", "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (0, [])
    assert "counterparty_iban" in leofric("search", "iban").stdout


def test_a_search_for_no_word_is_refused() -> None:
    with pytest.raises(UsageError, match="name a word"):
        catalog.search("  ")


def test_the_data_dictionary_is_what_the_contracts_say() -> None:
    assert leofric("dictionary").stdout == PAGE.read_text(), "run `leofric catalog dictionary > docs/data_dictionary.md`"


def test_the_data_dictionarys_tables_have_as_many_cells_in_each_row() -> None:
    widths = [line.replace("\\|", "").count("|") for line in catalog.dictionary().splitlines() if line.startswith("|")]
    assert set(widths) == {9, 7}  # eight cells a column, six a rule


def test_files_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError, match="taken cannot be written: .*; name a folder that can"):
        catalog.write_files(tmp_path / "taken", {"a.txt": "a"})


def test_a_file_that_cannot_be_written_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        catalog.write_files(tmp_path, {"a.txt": "a", "b.txt": "b"})
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b.txt"}
    assert (tmp_path / "a.txt").read_text() == "a"
