"""The commands of retention: what is kept until when and by which law, what would go, legal holds, and the run that deletes."""

from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.compliance import roles
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.compliance.audit import Action
    from app.compliance.legal_holds import Decision
    from app.contracts.retention_rules import RetentionRule
    from app.lake.audit import Act
    from app.lake.lake import Lake

retention = typer.Typer(help="How long data is kept, by which law, and its deletion when the time is over.", no_args_is_help=True)
hold = typer.Typer(help="Legal holds: what must not be deleted, whatever the clocks say.", no_args_is_help=True)
relationships = typer.Typer(help="When relationships with customers ended.", no_args_is_help=True)
retention.add_typer(hold, name="hold")
retention.add_typer(relationships, name="relationships")

_DAY = "%Y-%m-%d"
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record.")]
OnOption = Annotated[datetime | None, typer.Option("--on", formats=[_DAY], help="The day, in UTC; today if none is named.")]
ColdOption = Annotated[int, typer.Option("--cold-after", min=1, help="Days after which a partition is cold.")]


def _on(day: datetime | None) -> date:
    return datetime.now(UTC).date() if day is None else day.date()


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def _rules_in(file: Path) -> "tuple[RetentionRule, ...]":
    from app.compliance.rules_file import parse

    return parse(_utf8(file), str(file))


def _utf8(file: Path) -> str:
    try:
        return _text(file).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from None


@contextmanager
def _changing(lake: "Lake", what: str, action: "Action", about: str, why: str | None) -> "Iterator[Act]":
    """Change what retention rests on, while nobody else does and no run goes on, so that the audit trail has it."""
    from app.lake import lock
    from pipelines.audit import audited, now

    with lock.hold(lake.storage, f"{what}-{now():%Y%m%dT%H%M%SZ}"), audited(lake, action, about, why) as act:
        yield act


@retention.command("plan")
@reports_errors
@needs(roles.Action.INSPECT)
def show_plan(
    lake: LakeOption,
    on: OnOption = None,
    cold_after: ColdOption = 365,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show what would go on a day, why and until when the rest is kept, by table and month. Nothing is changed."""
    from pipelines import retention_plan

    opened = lake_at(lake, storage_option)
    found = retention_plan.document(opened, retention_plan.plan(opened, _on(on)), cold_after)
    if as_json:
        print_json(found)
    else:
        _say_plan(found)


@retention.command("apply")
@reports_errors
@needs(roles.Action.RETENTION)
def apply(
    lake: LakeOption,
    why: WhyOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Delete what must or may go today, for good: from the tables, their old versions, and the kept files. A run, with a certificate."""
    from app.settings import read_settings
    from pipelines import report, retention_plan
    from pipelines.retention_run import apply as execute

    storage = storage_at(lake, storage_option)
    if not yes:
        if as_json:
            raise UsageError("--json asks nothing: say --yes")
        opened = lake_at(lake, storage_option)
        _say_plan(retention_plan.document(opened, retention_plan.plan(opened, _on(None))))
        typer.confirm("Delete what must and may go, for good?", abort=True)
    with report.progress(errors) as observer:
        certificate = execute(storage, read_settings(), why, operator(), observer)
    if as_json:
        print_json(None if certificate is None else report.document(certificate))
    elif certificate is None:
        typer.echo("Nothing is due; nothing was done.")
    else:
        report.summary(certificate, console_for_results())
    tell_lineage(storage)
    if certificate is not None and certificate["status"] != "succeeded":
        raise typer.Exit(FAILED)


@retention.command("rules")
@reports_errors
@needs(roles.Action.RETENTION)
def rules(
    lake: Annotated[str | None, typer.Option("--lake", help="With the changes that this lake was given.")] = None,
    on: OnOption = None,
    load: Annotated[Path | None, typer.Option(help="First give the lake the rules of this YAML file, besides those that it has.")] = None,
    why: Annotated[str | None, typer.Option(help="The reason, for the record.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the rules in force on a day, with their law; or change them: a rule counts from the day that it names."""
    from app.contracts.retention_rules import RULES
    from app.lake import retention_rules
    from pipelines import report, retention_plan

    if load is not None:
        if lake is None:
            raise UsageError("--load changes the rules of a lake: name it by --lake")
        _load_rules(lake, storage_option, load, why)
    every = RULES if lake is None else retention_rules.rules(lake_at(lake, storage_option).storage)
    found = retention_plan.in_force_on(every, _on(on))
    if as_json:
        print_json(found)
        return
    shown = [
        {name: rule[name] for name in ("name", "years", "most_years", "clock", "ending", "article", "in_force_from")} for rule in found
    ]
    report.rows(shown, console_for_results())
    for rule in found:
        typer.echo(f"{rule['name']}: {rule['law']}, {rule['article']}. {rule['sentence']} Tables: {', '.join(rule['tables']) or 'none'}.")


def _load_rules(lake: str, options: list[str] | None, file: Path, why: str | None) -> None:
    from app.compliance.audit import Action
    from app.lake import retention_rules
    from pipelines.audit import now

    opened, text = lake_at(lake, options), _utf8(file)
    names = [f"{rule.name} from {rule.in_force_from}" for rule in _rules_in(file)]
    with _changing(opened, "retention-rules", Action.REFERENCE_LOAD, "retention rules", why) as act:
        sha256 = retention_rules.keep(opened.storage, text, file.name, now())
        act.details |= {"new": sha256 is not None, "sha256": sha256, "rules": names}
    if sha256 is None:
        raise UsageError(f"{file}: the lake has these very rules already; nothing was done")


@retention.command("impact")
@reports_errors
@needs(roles.Action.INSPECT)
def impact(
    lake: LakeOption,
    rules: Annotated[Path, typer.Option("--rules", help="A YAML file of rules that would be added to those of the lake.")],
    on: OnOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show what a change of rules would change of a day's plan: what would be kept longer or less long, by table and law."""
    from pipelines import report, retention_plan

    found = retention_plan.impact(lake_at(lake, storage_option), _on(on), _rules_in(rules))
    if as_json:
        print_json(found)
        return
    if found["tables"]:
        report.rows(found["tables"], console_for_results())
    totals = found["totals"]
    typer.echo(
        f"On {found['on']}: {totals['earlier']:,} rows would be kept less long, {totals['later']:,} longer;"
        f" {totals['go_after']:,} of them would go, {totals['go_before']:,} go by the rules of today."
    )


@retention.command("tiers")
@reports_errors
def tiers(cold_after: ColdOption = 365, as_json: JsonOption = False) -> None:
    """List the prefixes of a lake that a bucket's lifecycle may move to cold storage, and after how many days; nothing is moved here."""
    from pipelines import report, retention_plan

    found = retention_plan.tiers(cold_after)
    if as_json:
        print_json(found)
    else:
        report.rows(found["move"], console_for_results())


@hold.command("add")
@reports_errors
@needs(roles.Action.RETENTION)
def add_hold(
    lake: LakeOption,
    why: WhyOption,
    account: Annotated[str | None, typer.Option(help="Payments of this account: SSSSSS-AAAAAAAA, or an IBAN.")] = None,
    run: Annotated[str | None, typer.Option(help="What this run loaded.")] = None,
    period: Annotated[str | None, typer.Option(help="Everything of these days: FROM/TO, such as 2016-01-01/2016-12-31.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Put a hold on an account, a run or a period: nothing of it is deleted until the hold is released."""
    from dataclasses import replace

    from app.compliance.audit import Action
    from app.compliance.legal_holds import Kind, checked
    from app.lake import legal_holds, runs
    from pipelines import report
    from pipelines.audit import now

    given = [(kind, about) for kind, about in zip(Kind, (account, run, period), strict=True) if about is not None]
    if len(given) != 1:
        raise UsageError("name one of --account, --run and --period")
    ((kind, about),) = given
    opened = lake_at(lake, storage_option)
    checked(kind, about)
    if kind is Kind.RUN:
        report.find(runs.runs(opened), about)
    by_name = kind is not Kind.ACCOUNT or opened.sealed is None  # else nothing may say whose account it is
    with _changing(opened, "hold", Action.HOLD, f"{kind.value} {about}" if by_name else kind.value, why) as act:
        on = opened.written([about])[about] if kind is Kind.ACCOUNT else about
        made = legal_holds.add(opened.storage, kind, on, why, now().isoformat(timespec="seconds"), operator())
        act.object_version, act.details = str(made.number), {"act": made.act, "hold": made.hold}
    _say_hold(replace(made, about=about), as_json)


@hold.command("release")
@reports_errors
@needs(roles.Action.RETENTION)
def release_hold(
    number: Annotated[int, typer.Argument(help="The hold's number.")],
    lake: LakeOption,
    why: WhyOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Release a hold."""
    from app.compliance.audit import Action
    from app.lake import legal_holds
    from pipelines.audit import now

    opened = lake_at(lake, storage_option)
    with _changing(opened, "hold", Action.HOLD, f"hold {number}", why) as act:
        made = legal_holds.release(opened.storage, number, why, now().isoformat(timespec="seconds"), operator())
        act.object_version, act.details = str(made.number), {"act": made.act, "hold": made.hold}
    _say_hold(made, as_json)


@hold.command("list")
@reports_errors
@needs(roles.Action.RETENTION)
def list_holds(
    lake: LakeOption,
    every: Annotated[bool, typer.Option("--all", help="Every decision, not only the holds that stand.")] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the holds that stand, with who added them, when and why."""
    from dataclasses import asdict

    from app.compliance.legal_holds import standing
    from app.lake import legal_holds
    from pipelines import report

    opened = lake_at(lake, storage_option)
    decisions, clearance = legal_holds.decisions(opened.storage), clearance_of(opened)
    stand = {one.number for one in standing(decisions)}
    found = [asdict(one) | {"about": clearance.opened(one.about)} for one in decisions if every or (one.number in stand)]
    if as_json:
        print_json(found)
    else:
        report.rows(found, console_for_results())


def _say_hold(made: "Decision", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json(asdict(made))
    else:
        typer.echo(f"hold {made.hold} on {made.kind} {made.about}: {made.act} by {made.by}")


@relationships.command("load")
@reports_errors
@needs(roles.Action.RETENTION)
def load_relationships(
    file: Annotated[Path, typer.Argument(help="CSV: account,kind,ended_on. It replaces the table before from its day on.")],
    lake: LakeOption,
    in_force_from: Annotated[datetime | None, typer.Option(formats=[_DAY], help="From this day on; today if none is named.")] = None,
    why: Annotated[str | None, typer.Option(help="The reason, for the record.")] = None,
    storage_option: StorageOption = None,
) -> None:
    """Load the table of relationships: of each account whether its holder is a customer or occasional, and when the relationship ended."""
    from app.compliance.audit import Action
    from app.lake import relationships as tables
    from pipelines.audit import now

    opened, data = lake_at(lake, storage_option), _text(file)
    known = tables.parse(data, str(file))
    with _changing(opened, "relationships", Action.REFERENCE_LOAD, "relationships", why) as act:
        if opened.sealed is not None:
            data = tables.renamed(known, opened.written(list(known)))
        sha256 = tables.keep(opened.storage, data, _on(in_force_from), now())
        act.details |= {"new": sha256 is not None, "sha256": sha256, "accounts": len(known), "from": str(_on(in_force_from))}
    if sha256 is None:
        raise UsageError(f"{file}: the lake has this very table from that date already; nothing was done")
    typer.echo(f"{len(known):,} accounts, in force from {_on(in_force_from)}")


def _say_plan(found: dict[str, Any]) -> None:
    from pipelines import report

    rows = [
        {
            "table": one["table"],
            "month": one["month"] or "-",
            "rows": one["rows"],
            "MB": round(one["bytes"] / 1e6, 2),
            "keep until": one["keep_until"] or "-",
            "by": "; ".join(rule["article"] for rule in one["rules"]),
            "must go": one["must_go"],
            "may go": one["may_go"],
            "held": one["held"],
            "holds": ", ".join(map(str, one["holds"])),
        }
        for one in found["months"]
    ]
    report.rows(rows, console_for_results())
    totals = found["totals"]
    typer.echo(
        f"On {found['on']}: {totals['rows']:,} rows, {totals['must_go']:,} must go, {totals['may_go']:,} may go,"
        f" {totals['held']:,} are held; {totals['cold_bytes'] / 1e6:.2f} MB are older than {totals['cold_after_days']} days."
    )
    if found["relationships"] is None:
        typer.echo(
            "No relationships are loaded: payments of customers are kept for the longest time (`leofric retention relationships load`)."
        )
    for table, why in found["left"].items():
        typer.echo(f"Of {table} nothing is deleted: {why}.")
