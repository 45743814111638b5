"""Reference data that a lake's owner loads: which table, its bytes, and from when it is in force. A load is an object for ever."""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import lru_cache

from app.lake import layout
from app.lake.storage import Storage
from app.reference import modulus
from app.reference.modulus import WeightTable


@dataclass(frozen=True)
class Loaded:
    """A modulus weight table in a lake."""

    version: str  # what its owner calls it
    in_force_from: str  # an ISO date
    sha256: str  # of both files, one after the other
    rows: int
    loaded_at: str  # an ISO timestamp

    @property
    def path(self) -> str:
        return f"{layout.MODULUS}/{self.in_force_from}-{self.sha256[:16]}.json"

    def days_in_force(self, on: date) -> int:
        """How long it has been in force on that day."""
        return (on - date.fromisoformat(self.in_force_from)).days


def keep(storage: Storage, table: WeightTable, files: tuple[bytes, bytes], in_force_from: date, now: datetime) -> Loaded | None:
    """Store a table that was checked; None if the lake has the same bytes with that date already."""
    loaded = Loaded(table.version, in_force_from.isoformat(), table.sha256, table.size, now.isoformat(timespec="seconds"))
    valacdos, scsubtab = (data.decode("ascii") for data in files)
    document = asdict(loaded) | {"valacdos": valacdos, "scsubtab": scsubtab}
    return loaded if storage.put_new(loaded.path, json.dumps(document).encode()) else None


def tables(storage: Storage) -> list[Loaded]:
    """Every table that was loaded, by the date from which it is in force; of two with one date the later load comes last."""
    documents = [json.loads(bytes(storage.read(entry.path))) for entry in storage.entries(layout.MODULUS)]
    found = [Loaded(**{name: document[name] for name in Loaded.__dataclass_fields__}) for document in documents]
    return sorted(found, key=lambda loaded: (loaded.in_force_from, loaded.loaded_at))


def in_force(storage: Storage, on: date) -> Loaded | None:
    """The table that is in force on that day."""
    return next((loaded for loaded in reversed(tables(storage)) if loaded.in_force_from <= on.isoformat()), None)


def weight_table(storage: Storage, loaded: Loaded) -> WeightTable:
    """The table itself; a process reads and parses it once."""
    return _parsed(storage.root, tuple(sorted(storage.options.items())), loaded.path)


@lru_cache(maxsize=2)
def _parsed(root: str, options: tuple[tuple[str, str], ...], path: str) -> WeightTable:
    document = json.loads(bytes(Storage(root, dict(options)).read(path)))
    return modulus.parse(document["valacdos"].encode(), document["scsubtab"].encode(), document["version"])
