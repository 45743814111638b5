"""A lake: its storage, its identity, its tables."""

import json
from dataclasses import dataclass, field
from typing import Any

from deltalake import DeltaTable

from app.contracts.lake import BRONZE, SILVER, TABLES
from app.contracts.table import TableContract
from app.errors import LakeNotFound
from app.lake import delta, layout
from app.lake.storage import Storage

FORMAT = 1
_GREW = (BRONZE, SILVER)
"""The tables that have had fewer columns: of the others a run need not look."""


@dataclass(frozen=True)
class Lake:
    """``key`` is the lake's own secret for fingerprints: 16 bytes, made once."""

    storage: Storage
    key: bytes = field(repr=False)
    _opened: dict[str, DeltaTable] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        return {"storage": self.storage, "key": self.key, "_opened": {}}


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
    return Lake(storage, bytes.fromhex(identity["key"]))


def _identity(storage: Storage) -> dict[str, Any] | None:
    try:
        return dict(json.loads(bytes(storage.read(layout.IDENTITY))))
    except FileNotFoundError:
        return None
