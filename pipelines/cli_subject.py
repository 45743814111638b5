"""The commands about one person: what a lake holds, and whether it may be erased."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.compliance import roles
from app.errors import UsageError
from app.lake.on_command import lake_at
from app.settings import operator
from pipelines.cli_common import (
    JsonOption,
    LakeOption,
    StorageOption,
    console_for_results,
    errors,
    needs,
    print_json,
    reports_errors,
    tell_lineage,
)

if TYPE_CHECKING:
    from pipelines.erasure import Asked

subject = typer.Typer(help="One person: everything held, and requests to be erased.", no_args_is_help=True)

IdsArgument = Annotated[
    list[str],
    typer.Argument(metavar="ID…", help="Accounts (SSSSSS-AAAAAAAA, blanks and hyphens as people write them) or IBANs, of one person."),
]
OnOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day, in UTC; today if none is named.")]
JournalOption = Annotated[Path | None, typer.Option(help="The service's journal; for a local lake LAKE/journal.")]


def _on(day: datetime | None) -> date:
    return datetime.now(UTC).date() if day is None else day.date()


@subject.command("show")
@reports_errors
@needs(roles.Action.SUBJECT)
def show(
    ids: IdsArgument,
    lake: LakeOption,
    records: Annotated[bool, typer.Option("--records", help="Also the rows, without others' numbers; with --json only.")] = False,
    on: OnOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show everything held on a person, until when and why, and who has looked at it. The audit trail notes it, under a pseudonym."""
    from app.compliance.audit import Action
    from pipelines import subject_copy
    from pipelines.audit import audited
    from pipelines.erasure import ask
    from pipelines.subject import journal_of, person_of, subjects_of

    if records and not as_json:
        raise UsageError("--records prints rows of many tables: say --json")
    opened = lake_at(lake, storage_option)
    subjects, named = subjects_of(opened), journal_of(opened, journal)
    person = person_of(opened, ids, subjects)
    with audited(opened, Action.VIEW, person.name) as act:
        asked = ask(opened, person, _on(on), named, subjects)
        shown = subject_copy.document(asked, subject_copy.looked_at(opened, asked), records=records)
        act.details = {"records": records}
    if as_json:
        print_json(shown)
    else:
        for line in subject_copy.lines(shown):
            typer.echo(line)
        _say_decision(asked)


@subject.command("erase")
@reports_errors
@needs(roles.Action.ERASE)
def erase(
    ids: IdsArgument,
    lake: LakeOption,
    why: Annotated[str, typer.Option("--why", help="The reason, for the record; it must not name the account.")],
    on: OnOption = None,
    journal: JournalOption = None,
    backup_days: Annotated[
        int | None, typer.Option(min=0, help="So many days the lake's backups are kept, for the letter; a sealed lake knows it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Decide a request to be erased: what no clock and no hold keeps is erased for good, the rest is restricted until its time is over.

    Exit code 0 whatever is decided. Asked again, it says what was decided, unless more is due since.
    """
    from app.settings import read_settings
    from pipelines import report
    from pipelines.erasure import ask, carry_out, checked_why
    from pipelines.subject import journal_of, person_of, subjects_of

    if _on(on) > datetime.now(UTC).date():
        raise UsageError(f"--on {_on(on)}: that day has not come; what must be kept until then is not erased before")
    opened = lake_at(lake, storage_option)
    subjects, named = subjects_of(opened), journal_of(opened, journal)
    person = person_of(opened, ids, subjects)
    checked_why(why, person)
    asked = ask(opened, person, _on(on), named, subjects)
    if asked.settled is None and not yes:
        if as_json:
            raise UsageError("--json asks nothing: say --yes")
        _say_decision(asked)
        typer.confirm("Decide so, and erase what goes, for good?", abort=True)
    with report.progress(errors) as observer:
        done = carry_out(asked, read_settings(), why, operator(), observer, backup_days)
    if as_json:
        print_json(done)
    else:
        _say_done(done)
    tell_lineage(opened.storage)


@subject.command("list")
@reports_errors
@needs(roles.Action.INSPECT)
def list_decisions(
    lake: LakeOption,
    on: OnOption = None,
    due: Annotated[bool, typer.Option("--due", help="Only restrictions of which more is due by now.")] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List what was decided about people, under pseudonyms: restrictions with the day on which the rest is due, and what is due now."""
    from pipelines import report
    from pipelines.erasure import listed

    found = [one for one in listed(lake_at(lake, storage_option).storage, _on(on)) if one["due"] or not due]
    if as_json:
        print_json(found)
        return
    names = ("number", "outcome", "restricted", "until", "due", "holds", "run_id", "by", "on", "why")
    rows = [{name: one[name] for name in names} | {"subject": " ".join(one["subject"])} for one in found]
    if rows:
        report.rows(rows, console_for_results())
    typer.echo(f"{sum(one['restricted'] for one in found):,} people are restricted; of {sum(one['due'] for one in found):,} more is due.")


def _say_decision(asked: "Asked") -> None:
    if asked.decision is not None:
        for line in asked.decision.lines():
            typer.echo(line)


def _say_done(done: dict[str, Any]) -> None:
    made = done["decision"]
    until = "" if made["until"] is None else f" until {made['until']}"
    holds = f", and while holds {', '.join(map(str, made['holds']))} stand" if made["holds"] else ""
    said = {
        "erase": "erased",
        "part": f"erased in part, the rest is restricted{until}{holds}",
        "restrict": f"refused and restricted{until}{holds}",
    }
    again = " already" if done["already"] else ""
    typer.echo(f"Decision {made['number']} on {made['on']} by {made['by']}{again}: {said[made['outcome']]}.")
    for reason in made["reasons"]:
        typer.echo(f"  {reason['law']}, {reason['article']}" + ("" if reason["until"] is None else f", until {reason['until']}"))
    if done["letter"]:
        typer.echo("\nFacts for the letter:")
        for line in done["letter"]:
            typer.echo(f"  {line}")
