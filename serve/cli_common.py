"""What the service's commands share: options, and errors as sentences. ``pipelines`` has its own: neither knows the other."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Annotated

import typer

from app.compliance.roles import Action
from app.errors import LeofricError
from app.lake import on_command
from app.lake.on_command import Parameters, exit_code

if TYPE_CHECKING:
    from app.compliance.access import Denial
    from app.lake.storage import Storage


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


def needs(action: Action | None) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Let a command run only for whom the lake's policy allows it (``on_command.needs``). It stands below ``reports_errors``."""
    return on_command.needs(action, denied, jwks)


def denied(storage: "Storage", denial: "Denial") -> None:
    """Write down that somebody was not let in, or may not do something."""
    from serve import audit

    audit.denied(storage, denial)


def jwks(url: str) -> Mapping[str, object]:
    """An issuer's keys, from its address."""
    from serve.oidc import fetch_from

    return fetch_from(url)()


def print_json(document: object) -> None:
    """One JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
