"""What the service's commands share: options, and errors as sentences. ``pipelines`` has its own: neither knows the other."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from app.compliance.roles import Action
from app.errors import AccessDenied, LeofricError, UsageError

if TYPE_CHECKING:
    from app.lake.lake import Lake
    from app.lake.storage import Storage

FAILED, WRONG_USAGE, DENIED = 1, 2, 3
ACTION = "leofric_action"
"""The attribute of a command that says what it needs."""

LakeOption = Annotated[str, typer.Option("--lake", help="The lake: a local folder, or s3://bucket/prefix.")]
OwnLakeOption = Annotated[
    str, typer.Option("--lake", help="The lake: a local folder, or s3://bucket/prefix; LEOFRIC_LAKE is read, too.", envvar="LEOFRIC_LAKE")
]
"""With a default: who gives out keys does it where the lake is."""
StorageOption = Annotated[
    list[str] | None,
    typer.Option("--storage-option", help="NAME=VALUE for S3, such as AWS_ENDPOINT_URL=…; repeatable. The environment is read too."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]

Parameters = ParamSpec("Parameters")


def reports_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Turn an error that Leofric raised on purpose into a sentence and an exit code."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except LeofricError as error:
            typer.secho(f"leofric: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(exit_code(error)) from None

    return wrapped


def exit_code(error: LeofricError) -> int:
    """What a command that failed so ends with."""
    if isinstance(error, AccessDenied):
        return DENIED
    return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def needs(action: Action | None) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Let a command run only for whom the lake's policy allows it; None: for everybody. Nothing of the command has run when it is denied.

    A command that was given no lake is not held up. It stands below ``reports_errors``.
    """

    def decorated(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
        @wraps(command)
        def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
            lake, options = kwargs.get("lake"), kwargs.get("storage_option")
            if action is not None and isinstance(lake, str):
                from app.lake.access import require
                from app.settings import operator
                from serve.audit import denied

                storage = storage_at(lake, options if isinstance(options, list) else None)
                require(storage, operator(), action, command.__name__, denied)
            command(*args, **kwargs)

        wrapped.__dict__[ACTION] = action
        return wrapped

    return decorated


def lake_at(root: str, options: list[str] | None) -> "Lake":
    """The lake at an address that a user gave; LakeNotFound if there is none, UsageError for an option without =."""
    from app.lake.lake import open_lake

    return open_lake(storage_at(root, options))


def storage_at(root: str, options: list[str] | None) -> "Storage":
    """The storage at an address that a user gave; UsageError for an option without =."""
    from app.lake.storage import Storage

    return Storage(root.removeprefix("file://"), storage_options(options))


def storage_options(options: list[str] | None) -> dict[str, str]:
    """NAME=VALUE texts as a dictionary; UsageError for one without =."""
    pairs = [option.partition("=") for option in options or []]
    for name, equals, _ in pairs:
        if not equals:
            raise UsageError(f"--storage-option {name}: write it as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def print_json(document: object) -> None:
    """One JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
