"""A lake: its storage, its identity, its tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from app.contracts.lake import BRONZE, SILVER, TABLES
from app.contracts.table import TableContract
from app.errors import LakeNotFound, UsageError
from app.lake import delta, layout
from app.lake.storage import Storage

if TYPE_CHECKING:
    from app.lake.subjects import Subjects  # numba, which no command needs on a lake that is not sealed

FORMAT = 1
_GREW = (BRONZE, SILVER)
"""The tables that have had fewer columns: of the others a run need not look."""


@dataclass(frozen=True)
class Sealed:
    """A sealed lake's key store: its id, and where it was made."""

    store_id: str
    location: str


@dataclass(frozen=True)
class Lake:
    """``key`` is the lake's own secret for fingerprints: 16 bytes, made once."""

    storage: Storage
    key: bytes = field(repr=False)
    sealed: Sealed | None = None
    _opened: dict[str, DeltaTable] = field(default_factory=dict, init=False, repr=False, compare=False)
    _subjects: list["Subjects"] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def subjects(self) -> "Subjects | None":
        """The key store of a sealed lake, opened when it is first asked for; None if the lake is not sealed."""
        if self.sealed is not None and not self._subjects:
            from app.lake import subjects as key_store

            self._subjects.append(key_store.opened(self.sealed.location, dict(self.storage.options), self.sealed.store_id))
        return self._subjects[0] if self._subjects else None

    def opened(self, table: pa.Table) -> pa.Table:
        """Rows of this lake as they were before they were sealed, as far as their keys are there; else they are what they were."""
        if self.subjects is None:
            return table
        from app.unsealing import unsealed

        return unsealed(table, self.subjects.register)

    def written(self, identifiers: Sequence[str]) -> dict[str, str]:
        """How the tables write each of these parties; in a sealed lake by its token, which is made if it has none.

        Call it only while holding the lake's lock.
        """
        if self.subjects is None:
            return dict(zip(identifiers, identifiers, strict=True))
        from app.lake import subjects as key_store

        store = key_store.known(self.subjects, identifiers)
        self.now_with(store)
        places = store.register.find(pa.array(identifiers, pa.string()))
        return dict(zip(identifiers, store.register.parties.take(pa.array(places)).to_pylist(), strict=True))

    def follow_subjects(self) -> None:
        """Hear of what runs and erasures have done to the key store since it was opened."""
        if self.subjects is not None:
            from app.lake import subjects as key_store

            self.now_with(key_store.newest(self.subjects))

    def now_with(self, subjects: "Subjects") -> None:
        """From now on the lake has this state of its key store."""
        self._subjects[:] = [subjects]

    def table(self, contract: TableContract, version: int | None = None) -> DeltaTable:
        """The table at a version, the newest if None.

        To open a table is to read its log from the last checkpoint on; one that is open already reads only what is new.
        """
        if version is None and contract.path in self._opened:
            self._opened[contract.path].update_incremental()
            return self._opened[contract.path]
        table = delta.open_table(self.storage, contract, version)
        if table is None:
            raise LakeNotFound(f"{self.storage.root} has no table {contract.path}")
        if version is None:
            self._opened[contract.path] = table
        return table

    def __getstate__(self) -> dict[str, object]:
        return {"storage": self.storage, "key": self.key, "sealed": self.sealed, "_opened": {}, "_subjects": list(self._subjects)}


def create(storage: Storage, fresh_key: bytes) -> Lake:
    """Open the lake, or make an empty one, with every table and every column; call it only while holding the lake's lock.

    ``fresh_key``: 16 random bytes, used only if there is no lake yet. A table that a newer version of Leofric brought is made; one that
    was there and is gone is not: that is a loss, and reading it says so. A table that an older version made gets the columns that it lacks.
    """
    found = _identity(storage)
    missing = [contract for contract in TABLES if contract.path not in (found or {}).get("tables", ())]
    if missing and (found is None or found.get("format") == FORMAT):
        for contract in missing:
            delta.create_if_missing(storage, contract)
        identity = {"format": FORMAT, "key": fresh_key.hex()} | (found or {}) | {"tables": [contract.path for contract in TABLES]}
        storage.put(layout.IDENTITY, json.dumps(identity).encode())
    lake = open_lake(storage)
    for contract in _GREW:
        delta.evolve(lake.table(contract), contract)
    return lake


def create_sealed(storage: Storage, fresh_key: bytes, location: str, backup_days: int) -> Lake:
    """Make an empty lake whose payments' people are in a key store at ``location``; call it only while holding the lake's lock.

    UsageError if there is a lake: what is in plain text in old files cannot be sealed afterwards.
    """
    if _identity(storage) is not None:
        raise UsageError(f"{storage.root} is a lake already: make a new one, sealed, and load the landing files into it")
    from app.lake import subjects as key_store

    store = key_store.create(location, dict(storage.options), backup_days)
    identity = {"format": FORMAT, "key": fresh_key.hex(), "subjects": {"store": store.store_id, "at": location}, "tables": []}
    storage.put(layout.IDENTITY, json.dumps(identity).encode())
    return create(storage, fresh_key)


def has(lake: Lake, contract: TableContract) -> bool:
    """Whether the lake was ever given this table: one that an older version of Leofric made gets new ones with its next run."""
    return contract.path in (_identity(lake.storage) or {}).get("tables", ())


def open_lake(storage: Storage) -> Lake:
    """Open a lake that is there."""
    identity = _identity(storage)
    if identity is None:
        raise LakeNotFound(f"there is no lake at {storage.root}; `leofric run LANDING --lake {storage.root}` makes one")
    if identity.get("format") != FORMAT:
        raise LakeNotFound(f"the lake at {storage.root} has format {identity.get('format')}; this version reads format {FORMAT}")
    store = identity.get("subjects")
    return Lake(storage, bytes.fromhex(identity["key"]), None if store is None else Sealed(store["store"], store["at"]))


def _identity(storage: Storage) -> dict[str, Any] | None:
    try:
        return dict(json.loads(bytes(storage.read(layout.IDENTITY))))
    except FileNotFoundError:
        return None
