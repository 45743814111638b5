"""The commands of a lake's states: what there was, and back to it; small files made one, old ones let go."""

from collections.abc import Mapping
from getpass import getuser
from typing import Annotated, Any

import typer

from app.errors import UsageError
from pipelines.cli_common import (
    JsonOption,
    LakeOption,
    StorageOption,
    console_for_results,
    errors,
    lake_at,
    print_json,
    reports_errors,
    storage_at,
)

WhyOption = Annotated[str, typer.Option(help="The reason; the certificate keeps it.")]
TableArgument = Annotated[str, typer.Argument(help="A table's path, or its name in SQL.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(history)
    app.command()(vacuum)
    app.command()(optimize)


def _acted(certificate: Mapping[str, Any], as_json: bool) -> None:
    """Say what an act did to the lake: every command that changes one ends here, with the certificate that the lake has of it."""
    from pipelines import report

    if as_json:
        print_json(report.document(certificate))
    else:
        report.summary(certificate, console_for_results())


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


@reports_errors
def vacuum(
    lake: LakeOption,
    why: Annotated[str | None, typer.Option(help="The reason; the certificate keeps it. Needed unless it is a dry run.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    older_than: Annotated[
        int | None, typer.Option("--older-than", metavar="DAYS", help="Let go only of states that could last be seen so many days ago.")
    ] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Delete files that no state of the lake needs which could be seen in the last 30 days (LEOFRIC_VACUUM_GUARD_DAYS).

    Kept files (bronze/files), certificates, and what the service writes are never touched.
    """
    from datetime import UTC, datetime

    from app.settings import read_settings
    from pipelines import report
    from pipelines import vacuum as acts

    settings, storage = read_settings(), storage_at(lake, storage_option)
    days = acts.days_of(settings, older_than)
    found = acts.plan(lake_at(lake, storage_option), days, datetime.now(UTC))
    if found.files and not dry_run:
        if why is None:
            raise UsageError("--why is missing: give the reason, or look first with --dry-run")
        with report.progress(errors) as observer:
            _acted(acts.vacuum(storage, settings, days, why, getuser(), observer), as_json)
    elif as_json:
        print_json(found.document())
    else:
        would = found.document()
        report.rows([{"table": path} | counted for path, counted in would["tables"].items()], console_for_results())
        typer.echo(
            f"{would['files']:,} files of {would['bytes']:,} bytes would go; all states from that of run {would['oldest_state']} on stay."
        )


@reports_errors
def optimize(
    lake: LakeOption,
    why: WhyOption,
    table: Annotated[str | None, typer.Argument(help="A table's path, or its name in SQL; all tables that runs write if none.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Make few files of many small ones, partition by partition; no row changes."""
    from app.contracts.lake import TABLES
    from app.settings import read_settings
    from pipelines import executor, report
    from pipelines import optimize as acts
    from pipelines.catalog import contract_named

    contract = None if table is None else contract_named(table, TABLES)
    with report.progress(errors) as observer:
        storage = storage_at(lake, storage_option)
        certificate = acts.optimize(storage, read_settings(), contract, why, getuser(), executor.InProcess(), observer)
    if certificate is not None:
        _acted(certificate, as_json)
    elif as_json:
        print_json(None)
    else:
        typer.echo("No table is scattered: nothing to do.")
