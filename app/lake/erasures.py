"""What was decided about people who asked for erasure, and whose data is restricted meanwhile.

A decision is an object of its own, numbered, never changed; it has pseudonyms of the person, and no counts by which rows could be told. A
restriction is an object a party, named by the token of how the tables write it: nothing joins the two in a sealed lake but its key store,
so that a destroyed key leaves no way from a person to rows.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from app.compliance.restriction import Restricted
from app.errors import ErasureRefused, LakeDamaged
from app.lake import layout
from app.lake.storage import Storage


@dataclass(frozen=True)
class Decided:
    """A decision; ``outcome`` is one of ``compliance.erasure.Outcome``, days are ISO days."""

    number: int  # 1, 2, … over all people
    subject: tuple[str, ...]  # pseudonyms of the person's identifiers
    outcome: str
    on: str
    until: str | None
    reasons: tuple[dict[str, Any], ...]  # law, article, until
    holds: tuple[int, ...]
    by_key: bool
    run_id: str | None  # the run that deleted, if one did
    why: str
    at: str
    by: str


_TUPLES: Final = ("subject", "reasons", "holds")


def decisions(storage: Storage) -> list[Decided]:
    """Every decision, in order; LakeDamaged if one cannot be read."""
    found = []
    for path in _paths(storage, layout.ERASURES):
        said = _read(storage, path)
        try:
            found.append(Decided(**(said | {name: tuple(said[name]) for name in _TUPLES})))
        except (KeyError, TypeError):
            raise LakeDamaged(f"{storage.uri(path)} is no decision about an erasure; restore it") from None
    return found


def about(made: Iterable[Decided], subject: Sequence[str]) -> list[Decided]:
    """Those of the decisions that are about a person, known by one of these pseudonyms."""
    return [one for one in made if not set(subject).isdisjoint(one.subject)]


def last_of_each(made: Iterable[Decided]) -> list[Decided]:
    """The decisions that count: of each person the last, in order."""
    found: list[Decided] = []
    for one in made:
        found = [*(before for before in found if set(before.subject).isdisjoint(one.subject)), one]
    return found


def decide(storage: Storage, decided: Decided) -> Decided:
    """Store a decision; ErasureRefused if another got its number meanwhile."""
    if not storage.put_new(layout.erasure(decided.number), json.dumps(asdict(decided), indent=1).encode()):
        raise ErasureRefused("somebody else has decided about an erasure meanwhile; look at `leofric subject list`, and ask again")
    return decided


def restrict(storage: Storage, tokens: Iterable[str], records: Sequence[tuple[str, int]], at: str) -> None:
    """Restrict the data of parties, by their tokens; ``records``: what is theirs and says nobody's account, by file and number."""
    said = json.dumps({"at": at, "records": [list(one) for one in records]}).encode()
    for token in tokens:
        storage.put(layout.restriction(token), said)


def end_restriction(storage: Storage, tokens: Iterable[str]) -> None:
    """End the restriction of parties; nothing is left of it."""
    there = set(_paths(storage, layout.RESTRICTIONS))
    storage.delete([path for path in map(layout.restriction, tokens) if path in there])


def restricted(storage: Storage) -> Restricted:
    """Whose data is restricted now."""
    paths = _paths(storage, layout.RESTRICTIONS)
    tokens = frozenset(path.rpartition("/")[2].removesuffix(".json") for path in paths)
    records = {(str(sha256), int(number)) for path in paths for sha256, number in _read(storage, path)["records"]}
    return Restricted(tokens, frozenset(records))


def _paths(storage: Storage, folder: str) -> list[str]:
    try:
        return sorted(entry.path for entry in storage.entries(folder))
    except FileNotFoundError:
        return []


def _read(storage: Storage, path: str) -> dict[str, Any]:
    try:
        return dict(json.loads(bytes(storage.read(path))))
    except ValueError:
        raise LakeDamaged(f"{storage.uri(path)} cannot be read; restore it") from None
