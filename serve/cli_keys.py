"""The commands of whoever gives out keys to the scoring service."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.compliance.roles import Action
from app.lake.on_command import lake_at
from app.settings import operator
from serve.access import Scope
from serve.cli_common import JsonOption, OwnLakeOption, StorageOption, needs, print_json, reports_errors

if TYPE_CHECKING:
    from serve.keys import StoredKey

WhyOption = Annotated[str | None, typer.Option("--why", help="The reason, for the record.")]

keys = typer.Typer(help="API keys of the scoring service: who may call it, and for what.", no_args_is_help=True)


@keys.command("create")
@reports_errors
@needs(Action.MANAGE_KEYS)
def create_key(
    name: Annotated[str, typer.Option(help="Who will use it, such as payments; it is in the logs.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may be used for; repeatable.")],
    lake: OwnLakeOption = "lake",
    why: WhyOption = None,
    storage_option: StorageOption = None,
) -> None:
    """Make a key, and print it: the lake keeps a hash of it only, so it is shown this once."""
    from app.compliance.audit import Action
    from serve.audit import audited
    from serve.keys import create

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.KEY_CREATE, name, why) as act:
        act.details["scopes"] = sorted({one.value for one in scope})
        text = create(opened, name, scope, operator(), datetime.now(UTC))
    typer.echo(text)
    typer.echo(
        f"This is the only time that the key {name} is shown: keep it in a secret store. Send it as Authorization: Bearer …", err=True
    )


@keys.command("list")
@reports_errors
@needs(Action.MANAGE_KEYS)
def list_keys(lake: OwnLakeOption = "lake", as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List every key, the revoked ones too."""
    from serve.keys import listed

    found = listed(lake_at(lake, storage_option))
    if as_json:
        print_json([{name: value for name, value in asdict(key).items() if name != "hash"} for key in found])
        return
    for key in found:
        typer.echo(_line(key))
    if not found:
        typer.echo("The lake has no keys; `leofric keys create` makes one.", err=True)


@keys.command("revoke")
@reports_errors
@needs(Action.MANAGE_KEYS)
def revoke_key(
    name: Annotated[str, typer.Option(help="The key's name.")],
    lake: OwnLakeOption = "lake",
    why: WhyOption = None,
    storage_option: StorageOption = None,
) -> None:
    """Make a key invalid for ever."""
    from app.compliance.audit import Action
    from serve.audit import audited
    from serve.keys import revoke

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.KEY_REVOKE, name, why):
        revoked = revoke(opened, name, operator(), datetime.now(UTC))
    typer.echo(_line(revoked))


def _line(key: "StoredKey") -> str:
    state = "valid" if key.revoked_at is None else f"revoked {key.revoked_at} by {key.revoked_by}"
    return f"{key.name}: {', '.join(key.scopes)}; created {key.created_at} by {key.created_by}; {state}"
