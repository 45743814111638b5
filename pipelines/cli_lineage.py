"""The commands of lineage: what columns are made of, what hangs on them, and the way of one payment."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.compliance.roles import Action
from app.lake.on_command import lake_at, storage_at
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, clearance_of, needs, print_json, reports_errors

if TYPE_CHECKING:
    from app.lineage.graph import Answer

lineage = typer.Typer(help="What each column is made of, and what hangs on it.", no_args_is_help=True)


class Drawing(StrEnum):
    """How a graph is printed."""

    TEXT = "text"
    JSON = "json"
    SVG = "svg"


Of = Annotated[str, typer.Argument(metavar="TABLE[.COLUMN]", help="Such as silver/transactions or gold_account_daily.net_minor.")]
DrawingOption = Annotated[Drawing, typer.Option("--format", help="How to print it.")]
DepthOption = Annotated[int | None, typer.Option(min=1, help="At most so many steps away; else all the way.")]


@lineage.command()
@reports_errors
def upstream(of: Of, output: DrawingOption = Drawing.TEXT, depth: DepthOption = None) -> None:
    """Draw what a table or a column is made of."""
    _draw(of, output, depth, forward=False)


@lineage.command()
@reports_errors
def downstream(of: Of, output: DrawingOption = Drawing.TEXT, depth: DepthOption = None) -> None:
    """Draw what is made of a table or a column."""
    _draw(of, output, depth, forward=True)


def _draw(of: str, output: Drawing, depth: int | None, *, forward: bool) -> None:
    from app.lineage.graph import ROWS, Node
    from pipelines.lineage import graph

    whole = graph()
    starts = whole.named(of)
    tables = "." not in of
    if tables:
        whole, starts = whole.of_tables(), (Node(starts[0].dataset, ROWS),)
    _print((whole.downstream if forward else whole.upstream)(starts, depth), output, tables=tables)


def _print(answer: "Answer", output: Drawing, *, tables: bool) -> None:
    from app.lineage import drawing

    if output is Drawing.JSON:
        print_json(drawing.document(answer, tables=tables))
    else:
        typer.echo((drawing.svg if output is Drawing.SVG else drawing.text)(answer, tables=tables))


@lineage.command()
@reports_errors
def impact(
    of: Annotated[str, typer.Argument(metavar="TABLE.COLUMN", help="Such as silver/transactions.amount_minor.")],
    output: DrawingOption = Drawing.TEXT,
) -> None:
    """Say what a change of a column would change: which columns are made of it, which only depend on it, and where rows come or go."""
    from app.errors import UsageError
    from app.lineage import drawing
    from pipelines.lineage import graph

    starts = graph().named(of)
    if len(starts) > 1:
        raise UsageError(f"{of} is a whole table; name a column of it, such as {starts[0]}")
    answer = graph().downstream(starts)
    if output is Drawing.SVG:
        typer.echo(drawing.svg(answer))
        return
    found = drawing.impact(answer)
    if output is Drawing.JSON:
        print_json({"of": str(starts[0]), "impact": found})
        return
    typer.echo(f"{starts[0]}: a change of it reaches {len(found)} datasets")
    for dataset, kinds in found.items():
        typer.echo(f"\n{dataset}" + ("  (rows come or go)" if kinds["rows"] else ""))
        for words, kind in (("made of it", "made_of_it"), ("depends on it", "depends_on_it")):
            if kinds[kind]:
                typer.echo(f"  {words:13} {', '.join(kinds[kind])}")


@lineage.command()
@reports_errors
@needs(Action.INSPECT)
def events(
    run: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run's id, or that of a model: then its training.")],
    lake: LakeOption,
    storage_option: StorageOption = None,
) -> None:
    """Print the OpenLineage events of a run or a training that has ended, as one JSON document."""
    from app.settings import read_settings
    from pipelines.receivers import told_of

    print_json(told_of(lake_at(lake, storage_option), read_settings(), run))


@lineage.command()
@reports_errors
@needs(Action.RUN)
def send(lake: LakeOption, storage_option: StorageOption = None) -> None:
    """Tell the receivers that the settings name what they do not know yet. Runs do it by themselves; exit code 1 if one is away."""
    from app.errors import LineageNotTold, UsageError
    from app.settings import read_settings
    from pipelines.receivers import receivers, tell_all

    settings = read_settings()
    if not receivers(settings):
        raise UsageError("there is no receiver: set LEOFRIC_OPENLINEAGE_FILE or LEOFRIC_OPENLINEAGE_URL")
    faults = tell_all(lake_at(lake, storage_option), settings)
    if faults:
        raise LineageNotTold("; ".join(faults))


@reports_errors
@needs(Action.QUERY)
def trace(
    transaction: Annotated[str, typer.Argument(metavar="TRANSACTION_ID", help="The feed's identifier; upper and lower case differ.")],
    lake: LakeOption,
    journal: Annotated[
        Path | None, typer.Option(help="The service's journal, for what it answered; for a local lake LAKE/journal.")
    ] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show one payment's way: source, record, checks, silver or quarantine, features, scores, alerts, gold figures, decisions.

    Who looks at it is written to the audit trail, and shown to those who look later.
    """
    from pipelines.audit import viewed
    from pipelines.seen_records import way_seen
    from pipelines.trace import summary
    from pipelines.trace import trace as follow

    storage = storage_at(lake, storage_option)
    if journal is None and storage.is_local and storage.local_path("journal").is_dir():
        journal = storage.local_path("journal")
    opened = lake_at(lake, storage_option)
    with viewed(opened, f"transaction {transaction}") as before:
        found = way_seen(follow(opened, transaction, journal), clearance_of(opened)) | {"looked_at": before}
    if as_json:
        print_json(found)
    else:
        for line in summary(found):
            typer.echo(line)
