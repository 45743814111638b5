"""A lake that a command was given, and whether who calls the command may use it so.

It imports next to nothing: what a command needs is loaded when it runs, so that ``--help`` answers at once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec

from app.compliance.roles import Action
from app.errors import AccessDenied, LeofricError, TokenRefused, UsageError

if TYPE_CHECKING:
    from app.lake.access import Denied
    from app.lake.identity import Fetch
    from app.lake.lake import Lake
    from app.lake.storage import Storage

FAILED, WRONG_USAGE, DENIED = 1, 2, 3
ACTION: Final = "leofric_action"
"""The attribute of a command that says what it needs."""

Parameters = ParamSpec("Parameters")


def exit_code(error: LeofricError) -> int:
    """What a command that failed so ends with."""
    if isinstance(error, AccessDenied):
        return DENIED
    return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def needs(action: Action | None, denied: "Denied", fetch: "Fetch") -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Let a command run only for whom the lake's policy allows it; None: for everybody whom the lake lets in. Nothing of the command has
    run when it is denied.

    ``denied`` writes a denial down, ``fetch`` gets an issuer's keys. A command that was given no lake is not held up.
    """

    def decorated(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
        @wraps(command)
        def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
            lake, options = kwargs.get("lake"), kwargs.get("storage_option")
            if not isinstance(lake, str):
                command(*args, **kwargs)
                return
            with let_in(storage_at(lake, options if isinstance(options, list) else None), action, command.__name__, denied, fetch):
                command(*args, **kwargs)

        wrapped.__dict__[ACTION] = action
        return wrapped

    return decorated


@contextmanager
def let_in(storage: "Storage", action: Action | None, about: str, denied: "Denied", fetch: "Fetch") -> Iterator[None]:
    """A block in which who asks is the operator: by a token, if the lake takes tokens and there is one, else the operating system's user.

    AccessDenied, written down by ``denied`` first, if a token does not hold or is missing, or if that one may not do this.
    """
    from app.compliance.access import NOBODY, Denial, sentence_of
    from app.lake.access import require
    from app.lake.identity import shown, trust
    from app.settings import operated_by, operator, operator_shown_by, read_identity_token

    known, before = trust(storage), operator()
    try:
        person = None if known.issuer is None else shown(known, read_identity_token(), fetch, time.time())
    except TokenRefused as error:
        denial = Denial(before, (), action, about, str(error))
        denied(storage, denial)
        raise AccessDenied(sentence_of(denial, NOBODY)) from None
    by = operator_shown_by()
    if person is not None and known.issuer is not None and person != before:
        by = f"a token of {known.issuer.issuer} that {before} had"
    with operated_by(person or before, by):
        if action is not None:
            require(storage, operator(), action, about, denied)
        yield


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
