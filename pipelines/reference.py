"""Loading reference data into a lake: checked before it is kept, and refused if it cannot be right."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from app import columns
from app.compliance.audit import Action
from app.errors import UsageError
from app.lake import lock, reference
from app.lake.lake import Lake, create
from app.lake.reference import Loaded
from app.lake.storage import Storage
from app.reference import modulus
from app.reference.modulus import Case, WeightTable
from app.validation.modulus import INVALID, check
from pipelines.audit import audited

STALE_DAYS = 31
"""Pay.UK publishes a new table about once a month."""


def load_modulus(
    storage: Storage,
    valacdos: Path,
    scsubtab: Path,
    version: str | None,
    in_force_from: date | None,
    fresh_key: bytes,
    now: datetime | None = None,
) -> Loaded:
    """Check both files, try them on the published test cases, and keep them in the lake; UsageError says what is wrong with them."""
    files = (_read(valacdos), _read(scsubtab))
    started = now or datetime.now(UTC)
    table = modulus.parse(*files, version or _version(valacdos))
    failing = failing_cases(table)
    if failing:
        first = failing[0]
        raise UsageError(
            f"{valacdos}: {len(failing)} of the specification's test cases fail with this table, first {first.sort_code}"
            f" {first.account_number} ({first.what}); the file is damaged or not Pay.UK's: download it again"
        )
    with lock.hold(storage, f"reference-{started:%Y%m%dT%H%M%SZ}"):
        lake = create(storage, fresh_key)
        with audited(lake, Action.REFERENCE_LOAD, f"modulus {table.version}") as act:
            loaded = reference.keep(lake.storage, table, files, in_force_from or started.date(), started)
            act.details |= {"new": False} if loaded is None else {"new": True, "sha256": loaded.sha256, "from": str(loaded.in_force_from)}
    if loaded is None:
        raise UsageError(f"{valacdos}: the lake has this very table from that date already; nothing was done")
    return loaded


def failing_cases(table: WeightTable) -> list[Case]:
    """The published test cases that come out wrong with a table."""
    cases = modulus.published_cases()
    sort_codes, numbers = (
        columns.from_arrow(pa.array(values, pa.string()))
        for values in ([case.sort_code for case in cases], [case.account_number for case in cases])
    )
    results = check(sort_codes, numbers, table).tolist()
    return [case for case, result in zip(cases, results, strict=True) if (result != INVALID) != case.passes]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name the file that Pay.UK publishes") from None


def _version(path: Path) -> str:
    """What the file's name says, as in valacdos-v730.txt; else the name."""
    found = re.search(r"v?\d[\d.]*", path.stem)
    return found[0] if found else path.stem


def listed(lake: Lake, today: date | None = None) -> list[dict[str, object]]:
    """Every table that was loaded, oldest first, and whether it is the one in force."""
    day = today or datetime.now(UTC).date()
    current = reference.in_force(lake.storage, day)
    return [
        {"kind": "modulus"} | asdict(loaded) | {"in_force": loaded == current, "days": max(loaded.days_in_force(day), 0)}
        for loaded in reference.tables(lake.storage)
    ]


def stale(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """A sentence for what is missing or old."""
    current = [row for row in rows if row["in_force"]]
    if not current:
        return ["no modulus weight table is in force: accounts are not checked; load one with `leofric reference load modulus`"]
    return [
        f"modulus {row['version']} has been in force for {row['days']} days; Pay.UK publishes one about once a month: load the new one"
        for row in current
        if int(str(row["days"])) > STALE_DAYS
    ]
