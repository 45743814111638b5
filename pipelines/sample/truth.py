"""The ground truth beside the landing files: what was planted where, and what a run must find. `leofric run` never reads it."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from app.reference.modulus import synthetic_files
from pipelines.sample.draft import ACCEPTED, DUPLICATE, Finished

Members = Sequence[tuple[str, str, int]]


def write(folder: Path, files: Sequence[Finished], members: Members, warnings: Sequence[tuple[str, str]]) -> None:
    """Write typologies.csv, labels.csv, defects.csv, warnings.csv, duplicates.csv and expected.json."""
    folder.mkdir(parents=True, exist_ok=True)
    _csv(folder / "typologies.csv", ("transaction_id", "typology", "instance"), members)
    _labels(folder / "labels.csv", files, members)
    faults = [(file.name, number, ";".join(reasons)) for file in files for number, reasons in file.faults()]
    _csv(folder / "defects.csv", ("file", "record_number", "reasons"), faults)
    _csv(folder / "warnings.csv", ("transaction_id", "reason"), warnings)
    _csv(folder / "duplicates.csv", ("file", "record_number", "transaction_id"), _duplicates(files))
    (folder / "expected.json").write_text(json.dumps(expected(files), indent=2) + "\n")


def write_modulus_table(folder: Path) -> None:
    """Write the weight table that the sample's accounts were made for, in the form in which Pay.UK publishes its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in zip(("valacdos", "scsubtab"), synthetic_files(), strict=True):
        (folder / f"{name}.txt").write_bytes(data)


def _csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def _labels(path: Path, files: Sequence[Finished], members: Members) -> None:
    ids = pa.chunked_array([chunk for file in files for chunk in file.accepted_ids().chunks], pa.string())
    known = pa.array([identifier for identifier, _, _ in members], pa.string())
    at = pc.index_in(ids, known)
    typology = pc.fill_null(pa.array([name for _, name, _ in members], pa.string()).take(at), "")
    suspicious = pc.if_else(pc.is_valid(at), "1", "0")
    table = pa.table({"transaction_id": ids, "is_suspicious": suspicious, "typology": typology})
    with path.open("wb") as file:
        file.write((",".join(table.schema.names) + "\n").encode())
        pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed"))


def _duplicates(files: Sequence[Finished]) -> Iterable[tuple[str, int, str]]:
    for file in files:
        numbers = file.row_numbers()
        for row in np.flatnonzero(file.fate == DUPLICATE).tolist():
            yield file.name, int(numbers[row]), str(file.payments["transaction_id"][row].as_py())


def expected(files: Sequence[Finished]) -> dict[str, object]:
    """What a run that is told the branch's zone must count."""
    reasons: Counter[str] = Counter(code for file in files for _, codes in file.faults() for code in codes)
    money: dict[str, dict[str, int]] = {}
    for file in files:
        for currency, sides in file.amounts().items():
            held = money.setdefault(currency, dict.fromkeys(sides, 0))
            for side, amount in sides.items():
                held[side] += amount
    counted = [_counts(file) for file in files]
    totals = {name: sum(int(str(each[name])) for each in counted) for name in ("records", "accepted", "quarantined", "duplicates")}
    return {
        "zone": "branch-*=Europe/London",
        "files": {file.name: each for file, each in zip(files, counted, strict=True)},
        "totals": totals | {"by_reason": dict(sorted(reasons.items())), "amount_minor": dict(sorted(money.items()))},
    }


def _counts(file: Finished) -> dict[str, object]:
    fates = np.bincount(file.fate, minlength=3).tolist()
    return {
        "records": file.records,
        "accepted": fates[ACCEPTED],
        "quarantined": file.records - fates[ACCEPTED] - fates[DUPLICATE],
        "duplicates": fates[DUPLICATE],
        "amount_minor": file.amounts(),
    }
