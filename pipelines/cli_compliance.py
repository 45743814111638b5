"""The commands of compliance: the framework map, the evidence of a period, and whether a bundle of evidence is as it was made."""

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.compliance import roles
from app.lake.on_command import FAILED, lake_at
from pipelines.cli_audit import TrustedKeyOption
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, needs, print_json, reports_errors

compliance = typer.Typer(help="What frameworks ask, what answers it, and the evidence of a period.", no_args_is_help=True)


class MapFormat(StrEnum):
    """How the framework map is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"


@compliance.command("map")
@reports_errors
def show_map(
    framework: Annotated[str | None, typer.Option(help="One framework only, by its name or a beginning of it, such as MLR.")] = None,
    output: Annotated[MapFormat, typer.Option("--format", help="How to print it.")] = MapFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Show what each framework asks, what answers it, and what that does not cover: docs/compliance.md."""
    from app.compliance.requirements import framework_map
    from pipelines import compliance_page, report

    found = framework_map().of(framework)
    if as_json:
        print_json([one.document() for one in found.requirements])
    elif output is MapFormat.MARKDOWN:
        sys.stdout.write(compliance_page.page(found))
    else:
        report.rows(compliance_page.rows(found), console_for_results())


@compliance.command("report")
@reports_errors
@needs(roles.Action.AUDIT_READ)
def make_report(
    folder: Annotated[Path, typer.Argument(help="The folder to write; it must be empty or not there yet.")],
    lake: LakeOption,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, in UTC.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, in UTC; it is included.")],
    why: Annotated[str | None, typer.Option("--why", help="The reason, for the record.")] = None,
    trusted_key: TrustedKeyOption = None,
    storage_option: StorageOption = None,
) -> None:
    """Write the evidence of a period as one bundle: JSON, HTML and, with LEOFRIC_SIGNING_KEY_FILE, a signature. It is audited as an export.

    What does not hold is in the report; the exit code is 0 when it was written.
    """
    from app.compliance.audit import Action
    from app.lake.audit import acting, checkers_of
    from app.settings import read_audit_settings, read_settings
    from pipelines import compliance_bundle
    from pipelines.audit import now, opened, who
    from pipelines.compliance import evidence, period_of

    period = period_of(first.date(), last.date(), now().date())
    compliance_bundle.check_free(folder)
    key = compliance_bundle.key_of(read_settings().signing_key_file)
    signed_by = None if key is None else key.key_id
    keys = checkers_of(read_audit_settings(), trusted_key or [])
    found = lake_at(lake, storage_option)
    with opened(found) as log, acting(log, who(), now, Action.EXPORT, "compliance report", why) as act:
        act.details |= {"from": str(period.first), "to": str(period.last), "signed_by": signed_by}
        written = compliance_bundle.write(folder, evidence(found, log, keys, period, now(), signed_by), key)
        act.details["files"] = written
    typer.echo(f"{', '.join(written)} in {folder}, {'unsigned' if signed_by is None else f'signed by {signed_by}'}")


@compliance.command("verify")
@reports_errors
def verify_bundle(
    folder: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    trusted_key: Annotated[
        Path | None, typer.Option("--trusted-key", help="A file with the Ed25519 key that must have signed it, in PEM.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find out whether a bundle is as it was made, without the lake. Exit codes: 0 it is, 1 it is not, 2 wrong usage."""
    from pipelines.compliance_bundle import check

    checked = check(folder, trusted_key)
    if as_json:
        print_json(checked.document())
    else:
        for sentence in checked.faults or (checked.sentence(),):
            typer.echo(sentence)
    if checked.faults:
        raise typer.Exit(FAILED)
