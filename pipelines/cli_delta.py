"""The commands of a lake's states: what there was, and back to it; small files made one, old ones let go."""

from typing import Annotated

import typer

from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, lake_at, print_json, reports_errors

TableArgument = Annotated[str, typer.Argument(help="A table's path, or its name in SQL.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(history)


@reports_errors
def history(
    table: TableArgument,
    lake: LakeOption,
    limit: Annotated[int, typer.Option(min=1, help="How many versions to show, the newest first.")] = 20,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the versions of a table: when, which operation of which run, and the rows, bytes and files that it then had."""
    from app.contracts.lake import TABLES
    from pipelines import report
    from pipelines.catalog import contract_named
    from pipelines.history import history as versions

    rows = versions(lake_at(lake, storage_option), contract_named(table, TABLES), limit)
    if as_json:
        print_json(rows)
    else:
        report.rows(rows, console_for_results())
