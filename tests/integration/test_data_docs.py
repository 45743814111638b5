"""Data docs: pages that parse, whose links lead somewhere, that load nothing, and that show nobody's data."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import html5lib
import pytest
from typer.testing import CliRunner

from app.contracts import landing
from app.contracts.lake import SILVER, TABLES
from app.contracts.table import Classification
from pipelines.cli import app
from pipelines.data_docs import pages, sample
from pipelines.lineage import made_from
from tests.support.lake import NOW, load, opened, rows
from tests.support.landing import record, records, write_csv

SCRIPT = "<script>alert(1)</script>"
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake of two days' runs; a description is hostile."""
    write_csv(tmp_path / "one/a.csv", [*records(1, 8), record(9, description=SCRIPT), record(10, amount="x")])
    load(tmp_path / "one", tmp_path / "lake")
    write_csv(tmp_path / "two/b.csv", records(11, 14))
    load(tmp_path / "two", tmp_path / "lake", now=NOW + timedelta(days=2))
    return tmp_path / "lake"


def parsed(page: str) -> Any:
    """The page as HTML5 has it; an error if it breaks a rule of the parser."""
    return html5lib.HTMLParser(strict=True).parse(page)


def test_pages_are_html_and_links_lead_somewhere(lake: Path) -> None:
    for made in (pages(), pages(opened(lake))):
        assert set(made) == {"index.html", "columns.html", "landing.html", *(f"{contract.name}.html" for contract in TABLES)}
        for text in made.values():
            page = parsed(text)
            for link in page.iter(f"{XHTML}a"):
                file, _, place = link.attrib["href"].partition("#")
                assert file in made
                assert not place or f'id="{place}"' in made[file]


def test_pages_load_nothing_and_run_nothing(lake: Path) -> None:
    for text in pages(opened(lake)).values():
        page = parsed(text)
        assert not [element.tag for element in page.iter() if str(element.tag).endswith(("script", "link", "img", "iframe", "object"))]
        assert not re.search(r"\b(src|on\w+)=|url\(|@import", re.sub(r">[^<]*<", "><", text))
        assert "default-src 'none'" in text


def test_without_a_lake_pages_say_what_the_contracts_say() -> None:
    made = pages()
    assert "rows in" not in made["silver_transactions.html"]
    assert "Sample" not in made["silver_transactions.html"]
    for column in SILVER.columns:
        assert f'<tr id="{column.name}">' in made["silver_transactions.html"]
    assert "regulation 40(2) to (5)" in made["index.html"]


def test_with_a_lake_pages_say_what_is_in_it(lake: Path) -> None:
    made = pages(opened(lake))
    table = opened(lake).table(SILVER)
    assert f"13 rows in {len(table.file_uris())} files" in made["silver_transactions.html"]
    assert f"version {table.version()}." in made["silver_transactions.html"]
    assert "rows by booking_date" in made["silver_transactions.html"]
    assert "validity" not in made["gold_alerts.html"]


def test_quality_is_plotted_over_time(lake: Path) -> None:
    made = pages(opened(lake))
    for text in (made["index.html"], made["silver_transactions.html"]):
        page = parsed(text)
        (validity,) = [figure for figure in page.iter(f"{XHTML}figure") if "validity" in "".join(figure.itertext())]
        said = list(validity.itertext())
        assert "2026-03-04: 90.00%" in said  # nine of ten
        assert "2026-03-06: 100.00%" in said
        assert "validity: 100.00%" in said
        assert len(list(validity.iter("{http://www.w3.org/2000/svg}polyline"))) == 1


def test_samples_show_nobodys_data(lake: Path) -> None:
    text = "".join(pages(opened(lake), sample_rows=100).values())
    (run_id, *_) = {row["run_id"] for row in rows(lake, SILVER)}
    assert run_id in text, "internal columns are shown"
    held = rows(lake, SILVER)
    examples = {str(SILVER.example_of(column)) for column in SILVER.columns}
    for name in ("transaction_id", "account_number", "counterparty_account", "counterparty_iban", "payer", "payee"):
        for value in {str(row[name]) for row in held if row[name] is not None} - examples:
            assert value not in text, f"{name} {value} can be read"
    assert "alert(1)</script" not in text
    assert SCRIPT not in text


def test_what_is_shown_is_escaped(lake: Path) -> None:
    columns = tuple(replace(c, classification=Classification.PUBLIC) if c.name == "description" else c for c in SILVER.columns)
    text = pages(opened(lake), 100, contracts=[replace(SILVER, meaning="<b>bold</b>", columns=columns)])["silver_transactions.html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert not list(parsed(text).iter(f"{XHTML}script"))


def test_special_category_is_never_in_a_sample(lake: Path) -> None:
    columns = tuple(replace(c, classification=Classification.SPECIAL_CATEGORY) if c.name == "currency" else c for c in SILVER.columns)
    place = [column.name for column in columns].index("currency")
    found = sample(opened(lake).table(SILVER), replace(SILVER, columns=columns), 5)
    assert len(found) == 5
    assert {row[place] for row in found} == {None}


def test_lineage_is_told_both_ways_and_links_to_tables() -> None:
    made = pages(lineage={"silver/transactions": ["bronze/transactions", "reference/modulus"]})
    assert 'Made from: <a href="bronze_transactions.html">bronze/transactions</a>, reference/modulus' in made["silver_transactions.html"]
    assert 'Goes into: <a href="silver_transactions.html">silver/transactions</a>' in made["bronze_transactions.html"]
    assert "Lineage" not in made["gold_alerts.html"]


def test_a_table_that_the_lake_does_not_have_yet_is_said_to_be_missing(lake: Path) -> None:
    shutil.rmtree(lake / "gold/shadow_scores")
    made = pages(opened(lake))
    assert "Not in this lake." in made["gold_shadow_scores.html"]
    assert [name for name, text in made.items() if "Not in this lake." in text] == ["gold_shadow_scores.html"]


def test_pages_are_written_by_the_command_and_again_over_old_ones(lake: Path, tmp_path: Path) -> None:
    for _ in range(2):
        ran = CliRunner().invoke(app, ["catalog", "docs", str(tmp_path / "docs"), "--lake", str(lake), "--rows", "3"])
        assert ran.exit_code == 0, ran.output
        assert f"begin with {tmp_path / 'docs' / 'index.html'}" in ran.stdout
    written = {path.name: path.read_text() for path in (tmp_path / "docs").iterdir()}
    assert written == pages(opened(lake), 3, made_from())
    assert landing.TABLE.meaning.replace("'", "&#39;") in written["landing.html"]


def test_a_lake_that_is_not_there_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["catalog", "docs", str(tmp_path / "docs"), "--lake", str(tmp_path / "lake")])
    assert ran.exit_code == 1
    assert "there is no lake at" in ran.stderr
    assert not (tmp_path / "docs").exists()
