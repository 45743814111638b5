"""`leofric quarantine`: look at what was not accepted, correct it with four eyes, and replay it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.compliance.corrections import Decision, Item
    from app.lake.lake import Lake
    from app.review.bulk import Bulk
    from app.review.corrections import Decider

quarantine = typer.Typer(help="Records that were not accepted: look, correct, approve, replay.", no_args_is_help=True)

Reason = Annotated[str | None, typer.Option(help="A reason code; `leofric reasons` lists them.")]
Source = Annotated[str | None, typer.Option(help="A part of the landing file's address.")]
Days = Annotated[float | None, typer.Option(min=0, help="Days in quarantine.")]
LeastAmount = Annotated[str | None, typer.Option(help="Of at least so much, whatever the sign, in units of the record's currency.")]
Currency = Annotated[str | None, typer.Option(help="An ISO 4217 code.")]
Items = Annotated[list[str] | None, typer.Argument(metavar="ITEM", help="Records, as `leofric quarantine list` names them.")]
Proposal = Annotated[int | None, typer.Option(help="All records of this proposal; with items, those if it is still theirs.")]
Why = Annotated[str, typer.Option(help="Why, in words that a reviewer understands next year.")]


@quarantine.command("list")
@reports_errors
@needs(Action.REVIEW)
def list_(
    lake: LakeOption,
    reason: Reason = None,
    source: Source = None,
    older_than: Days = None,
    younger_than: Days = None,
    least_amount: LeastAmount = None,
    currency: Currency = None,
    state: Annotated[str | None, typer.Option(help="open, proposed, approved, corrected or closed.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to show; the totals are of all.")] = 50,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List quarantined records, the oldest first, with totals by reason and age of all that fit."""
    from app.review import desk
    from app.review.quarantine import filter_of
    from pipelines import report

    wanted = filter_of(reason, source, state, currency, least_amount, older_than, younger_than)
    found = desk.listing(lake_at(lake, storage_option), wanted, datetime.now(UTC), 0, limit)
    if as_json:
        print_json(found)
    else:
        report.quarantined(found, console_for_results())


@quarantine.command()
@reports_errors
@needs(Action.REVIEW)
def show(
    item: Annotated[str, typer.Argument(help="A record, as `leofric quarantine list` names it.")],
    lake: LakeOption,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Show a record as it came, why it was not accepted, which rules would mend it, and what was decided so far."""
    from app.compliance.audit import Action
    from app.review import desk
    from app.review.seen import record_seen
    from pipelines import report
    from pipelines.audit import audited

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.VIEW, f"record {item}") as act:
        found = record_seen(desk.shown(opened, item, datetime.now(UTC)), clearance_of(opened))
        act.object = f"record {found['item']}"
    if as_json:
        print_json(found)
    else:
        report.quarantined_record(found, console_for_results())


@quarantine.command()
@reports_errors
@needs(Action.PROPOSE)
def propose(
    lake: LakeOption,
    why: Why,
    items: Items = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="A new value; repeatable.")] = None,
    leave_out: Annotated[bool, typer.Option(help="Propose to leave the records out for good.")] = False,
    rule: Annotated[str | None, typer.Option(help="Propose what this rule makes of all open records: docs/quarantine.md.")] = None,
    reason: Reason = None,
    source: Source = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what a rule would propose.")] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Propose a correction of records, or of all that a rule mends. Somebody else must approve it."""
    from app.review import corrections, desk

    if sum((bool(set_), leave_out, rule is not None)) != 1:
        raise UsageError("give one of --set, --leave-out and --rule")
    if (rule is None) == (not items) or (rule is None and (reason or source or dry_run)):
        raise UsageError("name records with --set or --leave-out; filters and --dry-run go with --rule")
    values = dict(_pair(text) for text in set_ or [])
    opened = lake_at(lake, storage_option)
    if rule is not None:
        found = desk.by_rule(opened, rule, reason, source, datetime.now(UTC))
        _say_bulk(found)
        if dry_run or not found.corrections:
            if as_json:
                print_json(found.document())
            return
        proposed: dict[Item, str | None] = dict(found.corrections)
    else:
        proposed = desk.corrections_of(opened, items or [], None if leave_out else values)
    made = _audited(opened, why, lambda by: corrections.propose(opened, proposed, rule, by))
    if not as_json:
        typer.echo(f"Proposal {made[0].proposal}: {len(made):,} records; somebody else approves it with --proposal {made[0].proposal}.")
    else:
        print_json(corrections.document(made))


@quarantine.command()
@reports_errors
@needs(Action.APPROVE)
def approve(
    lake: LakeOption,
    why: Why,
    items: Items = None,
    proposal: Proposal = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Approve proposals of somebody else; the next replay carries them out."""
    from app.review import corrections, desk

    opened = lake_at(lake, storage_option)
    chosen = desk.chosen_of(opened, items or [], proposal)
    _say_decided(_audited(opened, why, lambda by: corrections.approve(opened, chosen, by)), as_json)


@quarantine.command()
@reports_errors
@needs(Action.REJECT)
def reject(
    lake: LakeOption,
    why: Why,
    items: Items = None,
    proposal: Proposal = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Reject proposals, or take one's own back; approved ones too, until they are replayed. The records are open again."""
    from app.review import corrections, desk

    opened = lake_at(lake, storage_option)
    chosen = desk.chosen_of(opened, items or [], proposal)
    _say_decided(_audited(opened, why, lambda by: corrections.reject(opened, chosen, by)), as_json)


@quarantine.command()
@reports_errors
@needs(Action.REPLAY)
def replay(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """Carry out every approved correction: the same validation, duplicates, silver and gold as for a landing file, and a certificate.

    Exit codes: 0 done (records that still fail are open again), 1 nothing is approved or the totals do not reconcile, 2 wrong usage.
    """
    from app.settings import read_settings
    from pipelines import executor, report, session
    from pipelines.replay import replay as execute

    settings = read_settings()
    storage = storage_at(lake, storage_option)
    with report.progress(errors) as observer, session.ray_running(settings, observer):
        certificate = execute(storage, settings, executor.RayData(settings), operator(), observer)
    if as_json:
        print_json(report.document(certificate))
    else:
        report.summary(certificate, console_for_results())
    tell_lineage(storage)
    if certificate["status"] != "succeeded":
        raise typer.Exit(FAILED)


def _audited(opened: "Lake", why: str, decide: "Callable[[Decider], list[Decision]]") -> "list[Decision]":
    """Decide so that the audit trail has it, whether it was allowed or not."""
    from app.compliance.audit import Action
    from app.review.corrections import Decider, told
    from pipelines.audit import audited

    with audited(opened, Action.REVIEW, "quarantine", why) as act:
        made = decide(Decider(operator(), why, datetime.now(UTC)))
        act.details |= told(made)
        return made


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write it as COLUMN=VALUE")
    return name, value


def _say_bulk(found: "Bulk") -> None:
    console = errors  # what is proposed is the result; this is how it came about
    console.print(f"{found.looked_at:,} open records fit; the rule makes {len(found.corrections):,} of them acceptable.")
    for example in found.examples:
        changes = ", ".join(f"{name} {old!r} -> {new!r}" for name, (old, new) in example["changes"].items())
        console.print(f"  {example['item']}: {changes}", markup=False)
    if found.in_vain:
        still = ", ".join(f"{count:,} {code}" for code, count in found.still.most_common())
        console.print(f"It would change {found.in_vain:,} others in vain: {still}.", markup=False)


def _say_decided(made: "list[Decision]", as_json: bool) -> None:
    from app.review import corrections

    if as_json:
        print_json(corrections.document(made))
    else:
        acts = sorted({one.act.value for one in made})
        typer.echo(f"Decision {made[0].sequence}: {len(made):,} records {' or '.join(acts)}.")
