"""The commands of analysts: what was scored, and which alerts there are."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.compliance.roles import Action
from app.errors import UsageError
from app.lake.on_command import FAILED, lake_at, storage_at
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

feedback = typer.Typer(help="What analysts decided about payments.", no_args_is_help=True)
alerts = typer.Typer(help="What an analyst should look at.", no_args_is_help=True)


@reports_errors
@needs(Action.SCORE)
def score(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """Score every payment that has no score yet with the champion, and raise alerts. `leofric run` does it too.

    Exit codes: 0 done or nothing to do, 1 the scores do not reconcile with what was accepted, 2 wrong usage.
    """
    from app.settings import read_settings
    from pipelines import executor, report, session
    from pipelines.score import nothing_to_do
    from pipelines.score import score as execute

    storage, settings = storage_at(lake, storage_option), read_settings()
    if nothing_to_do(storage):
        if as_json:
            print_json(None)
        else:
            typer.echo("Every accepted payment has a score.")
        return
    with report.progress(errors) as observer, session.ray_running(settings, observer):
        certificate = execute(storage, settings, executor.RayData(settings), observer)
    tell_lineage(storage)
    if as_json:
        print_json(certificate)
    else:
        report.scoring(certificate, console_for_results())
    if certificate["status"] != "succeeded":
        raise typer.Exit(FAILED)


@feedback.command("import")
@reports_errors
@needs(Action.FEEDBACK_IMPORT)
def import_feedback(
    labels: Annotated[Path, typer.Argument(help="A CSV file with transaction_id, is_suspicious (0 or 1), and typology; plain or .gz.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Keep analysts' decisions in the lake: `leofric train` learns from them, and scoring tells what was known of a payment's parties."""
    from app.settings import read_settings
    from pipelines import report
    from pipelines.feedback import import_labels
    from pipelines.labels import read_labels

    read = read_labels(labels)
    digest = hashlib.sha256(labels.read_bytes()).hexdigest()
    with report.progress(errors) as observer:
        found = import_labels(storage_at(lake, storage_option), read_settings(), read, digest, operator(), observer)
    tell_lineage(storage_at(lake, storage_option))
    if as_json:
        print_json(found)
    else:
        said = found["feedback"]
        typer.echo(f"{said['records']:,} decisions: {said['new']:,} new, {said['changed']:,} changed, {said['same']:,} known already.")
        if said["not_in_the_lake"]:
            typer.echo(f"{said['not_in_the_lake']:,} are about payments that the lake does not have (yet).")


@reports_errors
@needs(Action.EXPORT)
def features(
    lake: Annotated[str | None, typer.Option("--lake", help="Write the features of this lake's payments to --output.")] = None,
    output: Annotated[Path | None, typer.Option(help="A Parquet file to write, a row a payment.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the features of a payment; or, with --lake and --output, write those of every payment of a lake to a Parquet file."""
    from pipelines import report

    if (lake is None) != (output is None):
        raise UsageError("--lake and --output go together: the lake to read, and the Parquet file to write")
    if lake is not None and output is not None:
        from pipelines.past import write_features

        with report.progress(errors) as observer:
            written = write_features(lake_at(lake, storage_option), output, observer)
        typer.echo(f"{written:,} payments in {output}")
        return
    rows = report.feature_rows()
    if as_json:
        print_json(rows)
    else:
        report.rows(rows, console_for_results())


@alerts.command("list")
@reports_errors
@needs(Action.ALERTS)
def list_alerts(
    lake: LakeOption,
    scenario: Annotated[str | None, typer.Option(help="Of this scenario only; unusual are the models' own.")] = None,
    account: Annotated[str | None, typer.Option(help="Of this account only: SSSSSS-AAAAAAAA, an IBAN, or its token.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Fired on this UTC day or later.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List alerts, the newest first."""
    from pipelines import report
    from pipelines.alerts import listed

    opened = lake_at(lake, storage_option)
    rows = listed(opened, None if since is None else since.date(), scenario, account, clearance_of(opened))
    if as_json:
        print_json(rows[:limit])
    else:
        report.alerts(rows, limit, console_for_results())


@alerts.command("show")
@reports_errors
@needs(Action.ALERTS)
def show_alert(
    alert: Annotated[str, typer.Argument(help="The alert's id, or a beginning of it that no other has.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show an alert, and the payments that made it fire."""
    from app.compliance.audit import Action
    from pipelines import report
    from pipelines.alerts import shown
    from pipelines.audit import audited

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.VIEW, f"alert {alert}") as act:
        found = shown(opened, alert, clearance_of(opened))
        act.object = f"alert {found['alert_id']}"
    if as_json:
        print_json(found)
    else:
        report.alert(found, console_for_results())


@alerts.command("compare")
@reports_errors
@needs(Action.ALERTS)
def compare_alerts(
    labels: Annotated[Path, typer.Option(help="What is known of the payments: a CSV file as for evaluate.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Hold the alerts against labels: what of each typology was found, and how many alerts of each scenario were right."""
    from pipelines import report
    from pipelines.alerts import compared
    from pipelines.labels import read_labels

    found = compared(lake_at(lake, storage_option), read_labels(labels))
    if as_json:
        print_json(found)
    else:
        for rows in found.values():
            report.rows(rows, console_for_results())
