"""The commands about roles: who has which, what a role may do, and what oneself may do and see."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.compliance.roles import Action, Role
from app.lake.on_command import DENIED, lake_at
from app.settings import operator, operator_shown_by
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, needs, print_json, reports_errors

if TYPE_CHECKING:
    from app.compliance.access import Change, Grants
    from app.lake.identity import Change as IdentityChange
    from app.lake.identity import Issuer

access = typer.Typer(help="Who may do what on a lake, and sees what of it.", no_args_is_help=True)

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record.")]
PersonArgument = Annotated[str, typer.Argument(help="The operating system's user, or oidc:SUBJECT of a token.")]
_OPEN = "This lake has no grants yet: everybody may do and see everything. `leofric access grant PERSON approver` closes it."


@access.command("grant")
@reports_errors
@needs(Action.MANAGE_ACCESS)
def grant(
    person: PersonArgument,
    role: Annotated[Role, typer.Argument(help="The role.")],
    lake: LakeOption,
    why: WhyOption,
    storage_option: StorageOption = None,
) -> None:
    """Give somebody a role. The first of a lake has to be an approver; from then on the policy holds for everybody."""
    from app.compliance.access import Change

    _decide(lake, storage_option, Change.GRANT, person, role, why)
    typer.echo(f"{person} is {role} now")


@access.command("revoke")
@reports_errors
@needs(Action.MANAGE_ACCESS)
def revoke(
    person: PersonArgument,
    role: Annotated[Role, typer.Argument(help="The role.")],
    lake: LakeOption,
    why: WhyOption,
    storage_option: StorageOption = None,
) -> None:
    """Take a role away. The last who may give roles keeps it."""
    from app.compliance.access import Change

    _decide(lake, storage_option, Change.REVOKE, person, role, why)
    typer.echo(f"{person} is no {role} any more")


def _decide(lake: str, options: list[str] | None, change: "Change", person: str, role: Role, why: str) -> None:
    from app.compliance.access import Change
    from app.compliance.audit import Action as Audited
    from app.lake.access import decide
    from pipelines.audit import audited

    opened, action = lake_at(lake, options), Audited.GRANT if change is Change.GRANT else Audited.REVOKE
    with audited(opened, action, person, why) as act:
        act.details["role"] = role.value
        made = decide(opened.storage, change, person, role, why, datetime.now(UTC).isoformat(timespec="seconds"), operator())
        act.object_version = str(made.number)


@access.command("trust-issuer")
@reports_errors
@needs(Action.MANAGE_ACCESS)
def trust_issuer(
    lake: LakeOption,
    issuer: Annotated[str, typer.Option(help="The issuer, as its tokens name it (iss).")],
    audience: Annotated[str, typer.Option(help="The audience that tokens must name (aud).")],
    jwks: Annotated[str, typer.Option(help="Where its public keys are: https://…, or a JWKS file, whose keys the lake then keeps.")],
    why: WhyOption,
    storage_option: StorageOption = None,
) -> None:
    """Take tokens of an OpenID issuer from now on, instead of any before: whoever shows one is its subject, oidc:SUBJECT."""
    from pathlib import Path

    from app.lake.identity import Change, issuer_of

    _decide_identity(lake, storage_option, Change.TRUST, issuer_of(issuer, audience, jwks, lambda path: Path(path).read_bytes()), why)
    typer.echo(f"tokens of {issuer} for {audience} are taken now; the operating system's users may still come without one")


@access.command("require-token")
@reports_errors
@needs(Action.MANAGE_ACCESS)
def require_token(lake: LakeOption, why: WhyOption, storage_option: StorageOption = None) -> None:
    """Let in nobody without a token from now on. Only who has come by one himself can decide it."""
    from app.lake.identity import Change

    _decide_identity(lake, storage_option, Change.DEMAND, None, why)
    typer.echo("nobody is let in without a token now")


@access.command("forget-issuer")
@reports_errors
@needs(Action.MANAGE_ACCESS)
def forget_issuer(lake: LakeOption, why: WhyOption, storage_option: StorageOption = None) -> None:
    """Take no tokens any more, and demand none: people are the operating system's users again."""
    from app.lake.identity import Change

    _decide_identity(lake, storage_option, Change.FORGET, None, why)
    typer.echo("no tokens are taken now")


def _decide_identity(lake: str, options: list[str] | None, change: "IdentityChange", issuer: "Issuer | None", why: str) -> None:
    from app.compliance.audit import Action as Audited
    from app.lake.access import grants
    from app.lake.identity import Decider, decide
    from app.settings import read_identity_token
    from pipelines.audit import audited
    from pipelines.over_http import jwks

    opened, now = lake_at(lake, options), datetime.now(UTC)
    with audited(opened, Audited.IDENTITY, change.value if issuer is None else issuer.issuer, why) as act:
        act.details["change"] = change.value
        by = Decider(operator(), read_identity_token(), jwks, now.timestamp())
        made = decide(opened.storage, change, issuer, why, now.isoformat(timespec="seconds"), by, grants(opened.storage))
        act.object_version = str(made.number)


@access.command("list")
@reports_errors
@needs(Action.SEE_ACCESS)
def list_grants(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List who has which role, and whose tokens are taken; with --json also every decision that led to it."""
    from app.lake import identity
    from app.lake.access import decisions, grants
    from pipelines import report

    storage = lake_at(lake, storage_option).storage
    known, trust = grants(storage), identity.trust(storage)
    people = [{"person": person, "roles": sorted(known.of(person))} for person in sorted(known.roles)]
    if as_json:
        identities = [asdict(one) for one in identity.decisions(storage)]
        made = [asdict(one) for one in decisions(storage)]
        tokens = {"issuer": trust.issuer and trust.issuer.issuer, "demanded": trust.demanded, "decisions": identities}
        print_json({"open": known.is_open, "people": people, "decisions": made, "tokens": tokens})
        return
    if trust.issuer is not None:
        typer.echo(f"Tokens of {trust.issuer.issuer} for {trust.issuer.audience} are {'demanded' if trust.demanded else 'taken'}.")
    if known.is_open:
        typer.echo(_OPEN)
        return
    report.rows([{"person": one["person"], "roles": ", ".join(one["roles"])} for one in people], console_for_results())


@access.command("check")
@reports_errors
@needs(None)
def check(
    action: Annotated[Action, typer.Argument(help="What you want to do.")], lake: LakeOption, storage_option: StorageOption = None
) -> None:
    """Say whether you may do something: exit code 0 if so, 3 if not. Nothing is written down."""
    from app.compliance.access import Denial, sentence_of
    from app.lake.access import grants

    known, person = grants(lake_at(lake, storage_option).storage), operator()
    if known.is_open:
        typer.echo(_OPEN)
    elif known.allow(person, action):
        typer.echo(f"{person} ({', '.join(sorted(known.of(person)))}) may {action}")
    else:
        typer.echo(sentence_of(Denial(person, tuple(sorted(known.of(person))), action, "check"), known))
        raise typer.Exit(DENIED)


@access.command("whoami")
@reports_errors
@needs(None)
def whoami(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """Say who you are to a lake: your roles, what you may do, and how you see each class of columns."""
    from app.lake.access import grants

    document = _about(operator(), grants(lake_at(lake, storage_option).storage)) | {"by": operator_shown_by()}
    if as_json:
        print_json(document)
        return
    typer.echo(f"{document['person']}: {', '.join(document['roles']) or 'no role'}")
    if document["by"] is not None:
        typer.echo(f"by {document['by']}")
    if document["open"]:
        typer.echo(_OPEN)
        return
    typer.echo(f"may: {', '.join(document['may']) or 'nothing'}")
    typer.echo("sees: " + ", ".join(f"{name} {treatment}" for name, treatment in document["sees"].items()))


def _about(person: str, known: "Grants") -> dict[str, Any]:
    return {
        "person": person,
        "open": known.is_open,
        "roles": sorted(known.of(person)),
        "may": [action.value for action in Action if known.allow(person, action)],
        "sees": {one.value: treatment.value for one, treatment in known.seen_by(person).items()},
    }


@access.command("policy")
@reports_errors
def policy() -> None:
    """Print the policy as Markdown: what each role may do, and how it sees each class of columns."""
    from app.compliance.access import page

    sys.stdout.write(page())
