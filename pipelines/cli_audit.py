"""The commands of auditors: the audit trail listed, exported, verified."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.compliance.roles import Action
from app.errors import UsageError
from app.lake.on_command import FAILED, lake_at
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, needs, print_json, reports_errors

audit = typer.Typer(help="The audit trail: who did what, when, why and from where.", no_args_is_help=True)

TrustedKeyOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trusted-key", help="A file with a key that is trusted: an Ed25519 public key in PEM, or the secret itself; repeatable."
    ),
]


@audit.command("list")
@reports_errors
@needs(Action.AUDIT_READ)
def list_entries(
    lake: LakeOption,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Entries from this instant on, in UTC.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Of this action, such as model.promote; or of a family, such as model.")] = None,
    actor: Annotated[str | None, typer.Option(help="By this person, service or key.")] = None,
    about: Annotated[str | None, typer.Option("--object", help="On objects whose name begins so.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List entries, the oldest first. What is listed is not verified."""
    from app.compliance.audit import details_of, select
    from pipelines import report
    from pipelines.audit import opened

    instant = None if since is None else since.replace(tzinfo=UTC)
    with opened(lake_at(lake, storage_option)) as log:
        found = select(log.entries(), since=instant, action=action, actor=actor, about=about)
    if as_json:
        print_json([entry.document() | {"details": details_of(entry)} for entry in found])
        return
    rows = [
        {
            "entry": entry.sequence,
            "at": entry.at.isoformat(timespec="seconds"),
            "actor": entry.actor,
            "action": entry.action,
            "object": entry.object,
            "version": entry.object_version or "",
            "result": entry.result,
            "reason": entry.reason or "",
        }
        for entry in found
    ]
    report.rows(rows, console_for_results())


@audit.command("export")
@reports_errors
@needs(Action.AUDIT_READ)
def export_trail(
    file: Annotated[Path, typer.Argument(help="The file to write, NDJSON; it must not be there yet.")],
    lake: LakeOption,
    why: Annotated[str | None, typer.Option("--why", help="The reason, for the record.")] = None,
    trusted_key: TrustedKeyOption = None,
    storage_option: StorageOption = None,
) -> None:
    """Write the whole trail to a file that can be verified without the lake. That it was exported is written down, too."""
    from app.compliance.audit import Action
    from app.lake.audit import acting, checkers_of
    from app.settings import read_audit_settings
    from pipelines import trail
    from pipelines.audit import now, opened, who

    found = lake_at(lake, storage_option)
    keys = checkers_of(read_audit_settings(), trusted_key or [])
    with opened(found) as log, acting(log, who(), now, Action.EXPORT, "audit/log", why) as act:
        written = trail.export(found, log, keys, file, now())
        act.details, act.object_version = written, str(written["head"]["sequence"])
    typer.echo(f"{written['entries']:,} entries in {file}, up to {written['head']['sequence']}:{written['head']['hash']}")


@audit.command("verify")
@reports_errors
@needs(Action.AUDIT_VERIFY)
def verify_trail(
    lake: Annotated[str | None, typer.Option("--lake", help="The lake: a local folder, or s3://bucket/prefix.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="Verify this export instead, without a lake.")] = None,
    trusted_key: TrustedKeyOption = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="NUMBER:HASH of an entry that the trail had, as an earlier verification printed it; repeatable."),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="The service's journal, whose segments are held against the trail; for a local lake LAKE/journal.")
    ] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Find any entry that was edited, removed, reordered or cut off, and name the first.

    Exit codes: 0 the trail is as it was written, 1 it is not, 2 wrong usage. Without --trusted-key the key of the settings is trusted.
    """
    from app.lake.audit import checkers_of
    from app.settings import read_audit_settings
    from pipelines import trail
    from pipelines.audit import opened

    if (lake is None) == (export is None):
        raise UsageError("name what is to be verified: --lake or --export")
    keys, heads = checkers_of(read_audit_settings(), trusted_key or []), [trail.head_of(text) for text in head or []]
    if export is not None:
        finding = trail.verify_export(export, keys, heads)
    else:
        found = lake_at(str(lake), storage_option)
        with opened(found) as log:
            finding = trail.verify_lake(found, log, keys, heads, journal or trail.journal_of(found))
    if as_json:
        print_json(finding.document())
    else:
        for sentence in finding.sentences():
            typer.echo(sentence)
    if not finding.holds:
        raise typer.Exit(FAILED)
