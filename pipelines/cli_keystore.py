"""The commands of a sealed lake's key store: make both, look at it, and let another key wrap its keys."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.compliance.roles import Action
from app.errors import LeofricError, UsageError
from app.lake.on_command import lake_at, storage_at
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, needs, print_json, reports_errors

if TYPE_CHECKING:
    from app.lake.lake import Lake, Sealed
    from app.lake.storage import Storage

keystore = typer.Typer(
    help="The key store of a sealed lake: whom its tokens stand for, outside of it, so that a person can be erased.", no_args_is_help=True
)

_ADVICE = """\
Back up the lake as long as you like. Back up the key store apart from it, and keep no backup of it longer than {days} days:
an erased person is gone when the last of them is. Keep the key {wrapped_by} in a place of its own:
whoever loses it, or the key store, has lost all texts and accounts of the lake."""


@keystore.command("create")
@reports_errors
@needs(Action.MANAGE_KEYS)
def create(
    lake: LakeOption,
    keys: Annotated[
        str, typer.Option("--keys", help="Where the key store will be: an empty folder or s3://bucket/prefix, not in the lake.")
    ],
    backup_days: Annotated[int, typer.Option(min=1, help="How long backups of the key store are kept at most, in days.")] = 30,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Make an empty sealed lake and its key store. The key that wraps its keys is named by LEOFRIC_SUBJECT_KEY_FILE or the like."""
    from app.compliance.audit import Action
    from app.lake import lock
    from app.lake.lake import create_sealed
    from pipelines.audit import audited

    storage, location = storage_at(lake, storage_option), _absolute(keys)
    _check_places(storage, location)
    with lock.hold(storage, f"keystore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"):
        made = create_sealed(storage, secrets.token_bytes(16), location, backup_days)
        found = _facts(made)
        with audited(made, Action.KEY_STORE_MAKE, f"key store {found['id']}") as act:
            act.details |= found
    if as_json:
        print_json(found)
        return
    typer.echo(f"{storage.root} is a sealed lake now; its key store {found['id']} is at {found['location']}.")
    typer.echo(_ADVICE.format(days=backup_days, wrapped_by=found["wrapped_by"]))


@keystore.command("show")
@reports_errors
@needs(Action.INSPECT)
def show(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """Show what the key store is, and whether the key that the settings name opens all of it; exit code 1 or 2 with the reason if not."""
    from app.lake import subjects as key_store

    opened = lake_at(lake, storage_option)
    found, sealed = _facts(opened), _sealed(opened)
    wrong = None
    try:
        store = key_store.opened(sealed.location, dict(opened.storage.options), sealed.store_id)
        found |= {"opens": True, "parts": len(store.parts), "subjects": len(store.register)}
    except LeofricError as error:
        found |= {"opens": False, "parts": None, "subjects": None}
        wrong = error
    _say(found, as_json)
    if wrong is not None:
        raise wrong


@keystore.command("rewrap")
@reports_errors
@needs(Action.MANAGE_KEYS)
def rewrap(
    lake: LakeOption,
    why: Annotated[str, typer.Option("--why", help="The reason, for the record.")],
    new_key_file: Annotated[Path | None, typer.Option(help="A file with the new secret, at least 32 bytes.")] = None,
    new_vault: Annotated[str | None, typer.Option(help="The new key of Vault: https://host/v1/transit/keys/name.")] = None,
    new_vault_token_file: Annotated[
        Path | None, typer.Option(help="A file with the token for it; LEOFRIC_SUBJECT_VAULT_TOKEN_FILE if none is named.")
    ] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Let another key wrap the keys of the store; the key until now is the one that the settings name. Interrupted, do it again."""
    from app.compliance.audit import Action
    from app.lake import lock
    from app.lake.key_wrap import new_wrap
    from app.lake.subjects import rewrapped
    from pipelines.audit import audited

    opened, new = lake_at(lake, storage_option), new_wrap(new_key_file, new_vault, new_vault_token_file)
    before, sealed = _facts(opened), _sealed(opened)
    with (
        lock.hold(opened.storage, f"keystore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"),
        audited(opened, Action.KEY_STORE_REWRAP, f"key store {before['id']}", why) as act,
    ):
        act.details |= {"from": before["wrapped_by"], "to": new.name}
        opened.now_with(rewrapped(sealed.location, dict(opened.storage.options), sealed.store_id, new))
    after = _facts(opened)
    if as_json:
        print_json(after)
        return
    typer.echo(f"{new.name} wraps the keys of key store {after['id']} now: name it in the settings from now on.")
    typer.echo(f"Backups made until now open with {before['wrapped_by']}: destroy that key when the last of them is gone.")


def _absolute(location: str) -> str:
    """The place as the lake will know it, wherever a command is called."""
    location = location.removeprefix("file://")
    return location if "://" in location else str(Path(location).absolute())


def _check_places(storage: "Storage", location: str) -> None:
    """UsageError unless the lake's place is empty and neither place lies in the other."""
    from app.lake import layout

    lake, keys = _folders(storage.root), _folders(location)
    shorter = min(len(lake), len(keys))
    if lake[:shorter] == keys[:shorter]:
        raise UsageError("the key store must be outside of the lake, and the lake outside of the key store: else backups of one hold both")
    if storage.is_local and not Path(storage.root).exists():
        return
    if any(entry.path != layout.LOCK for entry in storage.entries()):
        raise UsageError(f"{storage.root} is not empty: a sealed lake is made in a place of its own, and then the landing files are loaded")


def _folders(root: str) -> list[str]:
    if "://" in root:
        return [part for part in root.split("/") if part]
    return list(Path(root).resolve().parts)


def _sealed(lake: "Lake") -> "Sealed":
    if lake.sealed is None:
        raise UsageError(f"the lake at {lake.storage.root} is not sealed: it has no key store; `leofric keystore create` makes a new lake")
    return lake.sealed


def _facts(lake: "Lake") -> dict[str, Any]:
    """What the key store says of itself."""
    from app.lake import subjects

    sealed, options = _sealed(lake), dict(lake.storage.options)
    said = subjects.facts(sealed.location, options, sealed.store_id)
    place = subjects.stored_at(sealed.location, options).root
    return {"id": said.store_id, "location": place, "wrapped_by": said.wrapped_by, "backup_days": said.backup_days}


def _say(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    said = {name.replace("_", " "): value for name, value in found.items() if value is not None}
    for name, value in (said | {"opens": "yes" if found["opens"] else "no"}).items():
        typer.echo(f"{name}: {value}")
