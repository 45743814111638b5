"""The commands of a lake's states: what there was, and back to it; small files made one, old ones let go."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.compliance.roles import Action
from app.errors import UsageError
from app.lake.on_command import lake_at, storage_at
from app.settings import operator
from pipelines.cli_common import (
    JsonOption,
    LakeOption,
    StorageOption,
    clearance_of,
    console_for_results,
    errors,
    needs,
    print_json,
    reports_errors,
    tell_lineage,
)

if TYPE_CHECKING:
    from app.lake.storage import Storage
    from pipelines.changes import Feed

WhyOption = Annotated[str, typer.Option(help="The reason; the certificate keeps it.")]


class FeedFormat(StrEnum):
    """How changes are written."""

    NDJSON = "ndjson"
    ARROW = "arrow"


TableArgument = Annotated[str, typer.Argument(help="A table's path, or its name in SQL.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(history)
    app.command()(vacuum)
    app.command()(optimize)
    app.command()(changes)
    app.command()(restore)


def _acted(storage: "Storage", certificate: Mapping[str, Any], as_json: bool) -> None:
    """Say what an act did to the lake: every command that changes one ends here, with the certificate that the lake has of it."""
    from pipelines import report

    if as_json:
        print_json(report.document(certificate))
    else:
        report.summary(certificate, console_for_results())
    tell_lineage(storage)


@reports_errors
@needs(Action.INSPECT)
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
@needs(Action.RUN)
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
            _acted(storage, acts.vacuum(storage, settings, days, why, operator(), observer), as_json)
    elif as_json:
        print_json(found.document())
    else:
        would = found.document()
        report.rows([{"table": path} | counted for path, counted in would["tables"].items()], console_for_results())
        typer.echo(
            f"{would['files']:,} files of {would['bytes']:,} bytes would go; all states from that of run {would['oldest_state']} on stay."
        )


@reports_errors
@needs(Action.RUN)
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
        certificate = acts.optimize(storage, read_settings(), contract, why, operator(), executor.InProcess(), observer)
    if certificate is not None:
        _acted(storage, certificate, as_json)
    elif as_json:
        print_json(None)
    else:
        typer.echo("No table is scattered: nothing to do.")


@reports_errors
@needs(Action.EXPORT)
def changes(
    table: TableArgument,
    lake: LakeOption,
    since: Annotated[str, typer.Option(help="A run, a time with its zone, or a version of the table: what came after it.")],
    until: Annotated[str | None, typer.Option(help="The same: up to it; what the last run left if none is named.")] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; else NDJSON goes to stdout.")] = None,
    form: Annotated[FeedFormat, typer.Option("--format", help="NDJSON, or an Arrow file (needs --output).")] = FeedFormat.NDJSON,
    storage_option: StorageOption = None,
) -> None:
    """Write the rows of a table that were inserted, deleted or updated, commit by commit, for whoever keeps a copy."""
    from app.compliance import audit
    from app.contracts.lake import TABLES
    from pipelines.audit import audited
    from pipelines.catalog import contract_named
    from pipelines.changes import feed, lines

    if form is FeedFormat.ARROW and output is None:
        raise UsageError("--format arrow needs --output FILE")
    opened = lake_at(lake, storage_option)
    with audited(opened, audit.Action.EXPORT, f"changes of {contract_named(table, TABLES).path}") as act:
        found = feed(opened, contract_named(table, TABLES), since, until, clearance_of(opened))
        act.details |= {"since": found.since, "until": found.until, "to": "stdout" if output is None else output.name}
        if output is None:
            sys.stdout.writelines(lines(found.tables()))
            return
        rows = act.details["rows"] = _written(found, output, form)
    typer.echo(f"{rows:,} changes of {found.contract.path} from version {found.since} to {found.until} in {output}")


def _written(found: "Feed", output: Path, form: FeedFormat) -> int:
    """Write a feed to a file, which is there when it is complete; how many rows it has."""
    import pyarrow as pa

    from pipelines.changes import lines, schema_of

    part, rows = output.with_name(output.name + ".part"), 0
    try:
        if form is FeedFormat.ARROW:
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, schema_of(found.contract)) as writer:
                for table in found.tables():
                    writer.write_table(table)
                    rows += table.num_rows
        else:
            with part.open("w") as file:
                for line in lines(found.tables()):
                    file.write(line)
                    rows += 1
        part.replace(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    return rows


@reports_errors
@needs(Action.RESTORE)
def restore(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The run after which the lake is to be as it was.")],
    lake: LakeOption,
    why: WhyOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Bring the whole lake back to the state after a run. It is a new run, which undoes those after it; their files can be loaded again.

    Exit codes: 0 done, 1 it cannot be done and nothing was changed, 2 wrong usage.
    """
    from app.settings import read_settings
    from pipelines import executor, report
    from pipelines.restore import restore as execute

    with report.progress(errors) as observer:
        storage = storage_at(lake, storage_option)
        certificate = execute(storage, read_settings(), run_id, why, operator(), executor.InProcess(), observer)
    _acted(storage, certificate, as_json)
