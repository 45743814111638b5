"""What the commands share: options, errors as sentences, and how they print."""

import json
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.compliance.roles import Action
from app.errors import LeofricError
from app.lake import on_command
from app.lake.on_command import Parameters, exit_code

if TYPE_CHECKING:
    from app.compliance.access import Clearance, Denial
    from app.lake.lake import Lake
    from app.lake.storage import Storage

errors = Console(stderr=True, highlight=False, soft_wrap=True)

_WIDTH = 140  # of tables that go to a file or a pipe


def console_for_results() -> Console:
    """Where results are printed for people: as wide as their terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


LakeOption = Annotated[str, typer.Option("--lake", help="The lake: a local folder, or s3://bucket/prefix.")]
StorageOption = Annotated[
    list[str] | None,
    typer.Option("--storage-option", help="NAME=VALUE for S3, such as AWS_ENDPOINT_URL=…; repeatable. The environment is read too."),
]
AsOfOption = Annotated[
    list[str] | None,
    typer.Option(
        help="All tables as a run left them (its id), or as they were seen at a time; or single tables, as TABLE=VERSION, repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def reports_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Turn an error that Leofric raised on purpose into a sentence and an exit code."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except LeofricError as error:
            errors.print(f"leofric: {error}", style="red", markup=False)
            raise typer.Exit(exit_code(error)) from None

    return wrapped


def needs(action: Action | None) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Let a command run only for whom the lake's policy allows it (``on_command.needs``). It stands below ``reports_errors``."""
    return on_command.needs(action, _denied, _jwks)


def _denied(storage: "Storage", denial: "Denial") -> None:
    from pipelines.audit import denied

    denied(storage, denial)


def _jwks(url: str) -> Mapping[str, object]:
    from pipelines.over_http import jwks

    return jwks(url)


def clearance_of(lake: "Lake") -> "Clearance":
    """What the caller sees of the lake."""
    from app.lake.access import clearance
    from app.settings import operator

    return clearance(lake, operator())


def tell_lineage(storage: "Storage") -> None:
    """Tell the receivers of OpenLineage events, if the settings name any, what they do not know yet; a warning for one that is away."""
    from app.lake.lake import open_lake
    from app.settings import read_settings
    from pipelines.receivers import receivers, tell_all

    settings = read_settings()
    if receivers(settings):
        for sentence in tell_all(open_lake(storage), settings):
            errors.print(f"warning: {sentence}", style="yellow", markup=False)


def print_json(document: object) -> None:
    """One JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: object) -> object:
    """What JSON has no form for: whole decimals (sums in SQL) are numbers, all else is its text."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else str(value)
