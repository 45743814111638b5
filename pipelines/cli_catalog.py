"""The commands of the catalogue: what tables and columns there are, what they mean, who answers for them."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.compliance.roles import Action
from app.lake.on_command import lake_at
from pipelines.cli_common import JsonOption, StorageOption, console_for_results, needs, print_json, reports_errors

catalog = typer.Typer(help="The catalogue of tables and columns: meaning, class, owner, retention.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="The folder to write into; files of the same names are replaced.")]
_LISTED = ("table", "columns", "most_sensitive", "owner", "retention", "meaning")
_SHOWN = ("column", "type", "unit", "null", "class", "example", "meaning")
_WHO = ("owner", "retention")


@catalog.command("list")
@reports_errors
def list_tables(as_json: JsonOption = False) -> None:
    """List the tables: what they hold, how sensitive they are, who answers for them."""
    from pipelines import report
    from pipelines.catalog import table_rows

    if as_json:
        print_json(table_rows())
    else:
        report.rows(table_rows(), console_for_results(), _LISTED)


@catalog.command("show")
@reports_errors
def show(
    table: Annotated[str, typer.Argument(help="A table's path, or its name in SQL.")],
    as_json: JsonOption = False,
) -> None:
    """Show a table's contract: every column with its meaning, unit, class, owner, retention rule and example."""
    from app.contracts.retention_rules import newest
    from pipelines import report
    from pipelines.catalog import column_rows, contract_named, retention_row, table_rows

    contract = contract_named(table)
    columns = column_rows(contract)
    rules = [retention_row(newest(name)) for name in dict.fromkeys(column["retention"] for column in columns)]
    (about,) = table_rows([contract])
    if as_json:
        print_json(about | {"columns": columns, "retention_rules": rules})
        return
    typer.echo(f"{contract.path}: {contract.meaning}")
    typer.echo(f"owner: {about['owner']}; kept by the rule {about['retention']}")
    differs = any(column[name] != about[name] for column in columns for name in _WHO)
    report.rows(columns, console_for_results(), (*_SHOWN, *_WHO) if differs else _SHOWN)
    for rule in rules:
        typer.echo(f"{rule['rule']}: kept for {rule['kept']}; then {rule['then']} ({rule['law']})")


@catalog.command("search")
@reports_errors
def search_words(
    words: Annotated[list[str], typer.Argument(help="Words that must all be in the name, meaning, class or owner.")],
    as_json: JsonOption = False,
) -> None:
    """Search tables and columns; the best first."""
    from pipelines import report
    from pipelines.catalog import search

    hits = [asdict(hit) for hit in search(" ".join(words))]
    if as_json:
        print_json(hits)
    else:
        report.rows(hits, console_for_results(), ["table", "column", "score", "classification", "owner", "meaning"])


@catalog.command("dictionary")
@reports_errors
def print_dictionary() -> None:
    """Print all contracts as one page of Markdown: docs/data_dictionary.md."""
    from pipelines.catalog import dictionary

    sys.stdout.write(dictionary())


@catalog.command("docs")
@reports_errors
@needs(Action.CATALOGUE)
def docs(
    folder: FolderArgument,
    lake: Annotated[
        str | None, typer.Option(help="A lake whose rows, quality and masked samples are shown; else the contracts only.")
    ] = None,
    rows: Annotated[int, typer.Option(min=0, max=1000, help="How many rows of each table to show.")] = 10,
    storage_option: StorageOption = None,
) -> None:
    """Write data docs: a page a table with its contract, quality over time, and a sample masked by class."""
    from pipelines.catalog import write_files
    from pipelines.data_docs import pages
    from pipelines.lineage import made_from

    made = pages(lake_at(lake, storage_option) if lake else None, rows, lineage=made_from())
    write_files(folder, made)
    typer.echo(f"{len(made)} pages in {folder}; begin with {folder / 'index.html'}")


@catalog.command("odcs")
@reports_errors
def odcs(folder: FolderArgument) -> None:
    """Write the contracts in the Open Data Contract Standard: NAME.odcs.yaml, one a table."""
    from importlib.metadata import version

    from pipelines import odcs as standard
    from pipelines.catalog import CONTRACTS, write_files

    write_files(folder, {f"{contract.name}.odcs.yaml": standard.text(contract, version("leofric")) for contract in CONTRACTS})
    typer.echo(f"{len(CONTRACTS)} contracts in {folder}")


@catalog.command("expectations")
@reports_errors
def expectations(folder: FolderArgument) -> None:
    """Write the contracts as suites of Great Expectations: NAME.json, one a table."""
    from pipelines import expectations as suites
    from pipelines.catalog import CONTRACTS, write_files

    write_files(folder, {f"{contract.name}.json": suites.text(contract) for contract in CONTRACTS})
    typer.echo(f"{len(CONTRACTS)} suites in {folder}")
