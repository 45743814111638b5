"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer
from rich.console import Console

from app.errors import LeofricError, UsageError

if TYPE_CHECKING:
    from app.lake.lake import Lake
    from app.lake.storage import Storage

app = typer.Typer(
    help="DataOps and anti-money-laundering for UK building societies and banks: nothing is lost between the feed and the alert.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

FAILED, WRONG_USAGE = 1, 2
_WIDTH = 140  # of tables that go to a file or a pipe


def _console() -> Console:
    """Where results are printed for people: as wide as their terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


LakeOption = Annotated[str, typer.Option("--lake", help="The lake: a local folder, or s3://bucket/prefix.")]
StorageOption = Annotated[
    list[str] | None,
    typer.Option("--storage-option", help="NAME=VALUE for S3, such as AWS_ENDPOINT_URL=…; repeatable. The environment is read too."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]

Parameters = ParamSpec("Parameters")


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def _reports_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Turn an error that Leofric raised on purpose into a sentence and an exit code."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except LeofricError as error:
            errors.print(f"leofric: {error}", style="red", markup=False)
            raise typer.Exit(WRONG_USAGE if isinstance(error, UsageError) else FAILED) from None

    return wrapped


def _storage(root: str, options: list[str] | None) -> "Storage":
    from app.lake.storage import Storage

    return Storage(root.removeprefix("file://"), storage_options(options))


def storage_options(options: list[str] | None) -> dict[str, str]:
    """NAME=VALUE texts as a dictionary."""
    pairs = [option.partition("=") for option in options or []]
    for name, equals, _ in pairs:
        if not equals:
            raise UsageError(f"--storage-option {name}: write it as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _lake(root: str, options: list[str] | None) -> "Lake":
    from app.lake.lake import open_lake

    return open_lake(_storage(root, options))


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: object) -> object:
    """What JSON has no form for: whole decimals (sums in SQL) are numbers, all else is its text."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else str(value)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leofric {version('leofric')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


@app.command()
@_reports_errors
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
@_reports_errors
def run(
    landing: Annotated[list[str], typer.Argument(help="Folders, files or globs of landing files, local or s3://.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    zone: Annotated[
        list[str] | None,
        typer.Option(help="ZONE or PATTERN=ZONE: the time zone of timestamps without one, for all files or for those whose name fits."),
    ] = None,
    storage_option: StorageOption = None,
) -> None:
    """Load landing files: bronze, silver, quarantine, gold, and the certificate of it all.

    Exit codes: 0 done (quarantined records are normal), 1 a file was rejected or the totals do not reconcile, 2 wrong usage.
    """
    from app.settings import read_settings
    from pipelines import executor, plan, report, session
    from pipelines.run import run as execute

    options = storage_options(storage_option)
    sources = plan.source_files(landing, zone or [], options)
    settings = read_settings()
    report.warn_if_lake_is_in_a_job(lake, errors)
    with report.progress(errors) as observer:
        observer.begun("start Ray", 1)
        stop = session.start_ray(settings)
        observer.ended("start Ray")
        try:
            certificate = execute(_storage(lake, storage_option), sources, settings, executor.RayData(settings), observer)
        finally:
            stop()
    if as_json:
        _print_json(report.document(certificate))
    else:
        report.summary(certificate, _console())
    if certificate["status"] != "succeeded" or any(file["status"] == "rejected" for file in certificate["files"]):
        raise typer.Exit(FAILED)


@app.command()
@_reports_errors
def certificate(
    lake: LakeOption,
    which: Annotated[str | None, typer.Argument(metavar="[RUN_ID|verify]", help="A run's id, the last run if none; or `verify`.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show the control totals of a run, or verify all certificates against the tables."""
    from pipelines import publish, report, verify

    opened = _lake(lake, storage_option)
    if which == "verify":
        verdicts = verify.verify(opened)
        report.verdicts(verdicts, as_json, _console())
        if any(verdict.faults for verdict in verdicts):
            raise typer.Exit(FAILED)
        return
    document = report.find(publish.runs(opened), which)
    if as_json:
        _print_json(document)
    else:
        report.summary(document, _console())


@app.command()
@_reports_errors
def tables(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List the tables: version, rows, bytes."""
    from app.contracts.lake import TABLES
    from app.lake import delta
    from pipelines import report

    opened = _lake(lake, storage_option)
    rows = []
    for contract in TABLES:
        table = opened.table(contract)
        count, size = delta.rows_and_bytes(table)
        rows.append({"table": contract.path, "sql_name": contract.name, "version": table.version(), "rows": count, "bytes": size})
    if as_json:
        _print_json(rows)
    else:
        report.rows(rows, _console())


@app.command()
@_reports_errors
def query(
    sql: Annotated[str, typer.Argument(help="One select statement; tables are called <layer>_<name>, such as silver_transactions.")],
    lake: LakeOption,
    output: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.TABLE,
    storage_option: StorageOption = None,
) -> None:
    """Query the lake with SQL (DuckDB), read-only."""
    from pipelines import report
    from pipelines.query import query as ask

    table = ask(_lake(lake, storage_option), sql)
    if output is Format.JSON:
        _print_json(table.to_pylist())
    elif output is Format.CSV:
        report.csv_rows(table, sys.stdout)
    else:
        report.rows(table.to_pylist(), _console(), list(table.schema.names))
