"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

import sys
from datetime import datetime
from enum import StrEnum
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from app.compliance.roles import Action
from app.errors import UsageError
from app.lake.on_command import FAILED, lake_at, storage_at, storage_options
from pipelines import (
    cli_access,
    cli_audit,
    cli_catalog,
    cli_compliance,
    cli_delta,
    cli_detection,
    cli_keystore,
    cli_lineage,
    cli_models,
    cli_quarantine,
    cli_retention,
    cli_rollout,
    cli_subject,
)
from pipelines.cli_common import (
    AsOfOption,
    Format,
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

app = typer.Typer(
    help="DataOps and anti-money-laundering for UK building societies and banks: nothing is lost between the feed and the alert.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
reference = typer.Typer(help="Reference data that the lake's owner loads.", no_args_is_help=True)
app.add_typer(reference, name="reference")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leofric {version('leofric')}")
        raise typer.Exit


class ReasonsFormat(StrEnum):
    """How reasons are printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class ReferenceKind(StrEnum):
    """What a lake can be given."""

    MODULUS = "modulus"


@app.callback()
def _root(
    show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


@app.command()
@reports_errors
def sample(
    folder: Annotated[Path, typer.Argument(help="The folder to write; it must be empty or not there yet.")],
    rows: Annotated[int, typer.Option(min=1_000, help="About how many records.")] = 200_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 7,
) -> None:
    """Make a synthetic UK building society's week, with planted defects and planted typologies."""
    from pipelines import sample as bank

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name one that is empty or not there yet")
    written = bank.write(folder, rows=rows, seed=seed)
    typer.echo(
        f"{len(written.paths)} files with {written.records} records in {folder}; what was planted is listed in {folder}/ground_truth"
    )


@app.command()
@reports_errors
@needs(Action.RUN)
def run(
    landing: Annotated[list[str], typer.Argument(help="Folders, files or globs of landing files, local or s3://.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    zone: Annotated[
        list[str] | None,
        typer.Option(help="ZONE or PATTERN=ZONE: the time zone of timestamps without one, for all files or for those whose name fits."),
    ] = None,
    amounts: Annotated[
        list[str] | None,
        typer.Option(help="FORM or PATTERN=FORM: how amounts are written, by the example 1234.56: 1,234.56 or 1.234,56- or (1 234,56)."),
    ] = None,
    storage_option: StorageOption = None,
) -> None:
    """Load landing files: bronze, silver, quarantine, gold, and the certificate of it all; and score them, if a model is in use.

    Exit codes: 0 done (quarantined records are normal), 1 a file was rejected or the totals do not reconcile, 2 wrong usage, 3 not allowed.
    """
    from app.settings import read_settings
    from models import champions
    from pipelines import executor, plan, report, segments, session
    from pipelines.run import run as execute
    from pipelines.score import score

    options = storage_options(storage_option)
    places = segments.places_with_files(storage_at(lake, storage_option), landing)
    if not places:
        typer.echo("Nothing waits in the service's journal.")
        return
    sources = plan.source_files(places, zone or [], options, amounts or [])
    settings = read_settings()
    report.warn_if_lake_is_in_a_job(lake, errors)
    storage = storage_at(lake, storage_option)
    scored = None
    with report.progress(errors) as observer, session.ray_running(settings, observer):
        certificate = execute(storage, sources, settings, executor.RayData(settings), observer)
        if champions.in_use(storage) is not None:
            scored = score(storage, settings, executor.RayData(settings), observer)
    tell_lineage(storage)
    if as_json:
        print_json(report.document(certificate) | {"scoring": scored})
    else:
        report.summary(certificate, console_for_results())
        if scored is not None:
            report.scoring(scored, console_for_results())
    rejected = any(file["status"] == "rejected" for file in certificate["files"])
    if rejected or any(one["status"] != "succeeded" for one in (certificate, scored) if one is not None):
        raise typer.Exit(FAILED)


@app.command()
@reports_errors
@needs(Action.INSPECT)
def certificate(
    lake: LakeOption,
    which: Annotated[str | None, typer.Argument(metavar="[RUN_ID|verify]", help="A run's id, the last run if none; or `verify`.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show the control totals of a run, or verify all certificates against the tables."""
    from app.lake import runs
    from pipelines import report, verify

    opened = lake_at(lake, storage_option)
    if which == "verify":
        verdicts = verify.verify(opened)
        report.verdicts(verdicts, as_json, console_for_results())
        if any(verdict.faults for verdict in verdicts):
            raise typer.Exit(FAILED)
        return
    document = report.find(runs.runs(opened), which)
    if as_json:
        print_json(document)
    else:
        report.summary(document, console_for_results())


@app.command()
@reports_errors
@needs(Action.INSPECT)
def tables(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List the tables: version, rows, bytes."""
    from app.contracts.lake import TABLES
    from app.lake import delta
    from pipelines import report

    opened = lake_at(lake, storage_option)
    rows = []
    for contract in TABLES:
        table = opened.table(contract)
        count, size = delta.rows_and_bytes(table)
        rows.append({"table": contract.path, "sql_name": contract.name, "version": table.version(), "rows": count, "bytes": size})
    if as_json:
        print_json(rows)
    else:
        report.rows(rows, console_for_results())


@app.command()
@reports_errors
@needs(Action.QUERY)
def query(
    sql: Annotated[str, typer.Argument(help="One select statement; tables are called <layer>_<name>, such as silver_transactions.")],
    lake: LakeOption,
    output: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.TABLE,
    as_of: AsOfOption = None,
    storage_option: StorageOption = None,
) -> None:
    """Query the lake with SQL (DuckDB), read-only. Columns that you may not see are masked, or tokens that still join."""
    from pipelines import report
    from pipelines.query import query as ask

    opened = lake_at(lake, storage_option)
    table = ask(opened, sql, clearance_of(opened), as_of or ())
    if output is Format.JSON:
        print_json(table.to_pylist())
    elif output is Format.CSV:
        report.csv_rows(table, sys.stdout)
    else:
        report.rows(table.to_pylist(), console_for_results(), list(table.schema.names))


@app.command()
@reports_errors
@needs(Action.VALIDATE)
def validate(
    file: Annotated[str, typer.Argument(help="One landing file, local or s3://.")],
    as_json: JsonOption = False,
    zone: Annotated[str | None, typer.Option(help="The time zone of timestamps without one.")] = None,
    amounts: Annotated[str | None, typer.Option(help="How amounts are written, by the example 1234.56, such as 1,234.56- .")] = None,
    lake: Annotated[str | None, typer.Option(help="A lake whose modulus weight table is used.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many records to show of each reason.")] = 3,
    storage_option: StorageOption = None,
) -> None:
    """Validate a file without loading it: what would be quarantined, and why.

    Exit codes: 0 every record would be accepted or is an exact duplicate, 1 the file or a record of it would not, 2 wrong usage.
    """
    from app.settings import read_settings
    from pipelines import plan, report
    from pipelines.validate import validate as check

    (source, *others) = plan.source_files([file], [zone] if zone else [], storage_options(storage_option), [amounts] if amounts else [])
    if others:
        raise UsageError(f"{file} names {len(others) + 1} files; name one")
    found = check(source, read_settings(), lake_at(lake, storage_option) if lake else None, examples)
    if as_json:
        print_json(found.document())
    else:
        report.validation(found.document(), console_for_results())
    if found.rejection is not None or found.quarantined:
        raise typer.Exit(FAILED)


@app.command()
@reports_errors
def reasons(output: Annotated[ReasonsFormat, typer.Option("--format", help="How to print them.")] = ReasonsFormat.TABLE) -> None:
    """List every reason for which a record is quarantined, or kept with a warning."""
    from pipelines import report

    if output is ReasonsFormat.JSON:
        print_json(report.reason_rows())
    elif output is ReasonsFormat.MARKDOWN:
        sys.stdout.write(report.reasons_page())
    else:
        report.rows(report.reason_rows(), console_for_results())


@reference.command("load")
@reports_errors
@needs(Action.REFERENCE_LOAD)
def reference_load(
    kind: Annotated[ReferenceKind, typer.Argument(help="What to load.")],
    lake: LakeOption,
    valacdos: Annotated[Path, typer.Option(help="Pay.UK's weight table, valacdos.txt.")],
    scsubtab: Annotated[Path, typer.Option(help="Pay.UK's table of substitute sort codes, scsubtab.txt.")],
    table_version: Annotated[str | None, typer.Option("--version", help="What to call it; else what the file's name says.")] = None,
    in_force_from: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The day from which it is in force; else today.")
    ] = None,
    storage_option: StorageOption = None,
) -> None:
    """Check a table and load it into the lake. One that fails the specification's own test cases is refused."""
    import secrets

    from pipelines.reference import load_modulus

    day = None if in_force_from is None else in_force_from.date()
    loaded = load_modulus(storage_at(lake, storage_option), valacdos, scsubtab, table_version, day, secrets.token_bytes(16))
    typer.echo(
        f"{kind.value} {loaded.version}: {loaded.rows} rows, in force from {loaded.in_force_from}; it passes the published test cases"
    )


@reference.command("list")
@reports_errors
@needs(Action.INSPECT)
def reference_list(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List the reference data of a lake, and say what is old."""
    from pipelines import report
    from pipelines.reference import listed, stale

    rows = listed(lake_at(lake, storage_option))
    if as_json:
        print_json(rows)
    else:
        report.rows(rows, console_for_results())
    for sentence in stale(rows):
        errors.print(f"warning: {sentence}", style="yellow", markup=False)


app.command()(cli_detection.score)
app.add_typer(cli_detection.alerts, name="alerts")
app.add_typer(cli_detection.feedback, name="feedback")
app.command()(cli_detection.features)
app.command()(cli_models.evaluate)
app.command()(cli_models.train)
app.command()(cli_models.backtest)
cli_models.models.add_typer(cli_rollout.rollout, name="rollout")
app.add_typer(cli_models.models, name="models")
app.add_typer(cli_catalog.catalog, name="catalog")
app.add_typer(cli_access.access, name="access")
app.add_typer(cli_lineage.lineage, name="lineage")
app.command()(cli_lineage.trace)
app.add_typer(cli_quarantine.quarantine, name="quarantine")
app.add_typer(cli_audit.audit, name="audit")
cli_delta.add_to(app)
app.add_typer(cli_retention.retention, name="retention")
app.add_typer(cli_subject.subject, name="subject")
app.add_typer(cli_compliance.compliance, name="compliance")
app.add_typer(cli_keystore.keystore, name="keystore")

# Commands of packages that the command line does not know, the service's above all.
for _command in entry_points(group="leofric.commands"):
    _loaded = _command.load()
    if isinstance(_loaded, typer.Typer):
        app.add_typer(_loaded, name=_command.name)
    else:
        app.command(_command.name)(_loaded)
