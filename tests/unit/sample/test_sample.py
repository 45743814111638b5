"""The sample bank: the same every time, complete, and what it says of itself is true."""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from app.contracts.landing import VERSIONS
from app.errors import UsageError
from app.settings import Settings
from pipelines import plan
from pipelines.sample import Written, defects, typologies, write
from pipelines.sample.payments import EXPONENTS
from pipelines.validate import validate
from tests.support.lake import load, load_modulus_table

NAMES = VERSIONS[1]

ROWS = 6_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("sample"), rows=ROWS)


@pytest.fixture(scope="module")
def truth(written: Written) -> dict[str, Any]:
    return dict(json.loads((written.paths[0].parent / "ground_truth/expected.json").read_text()))


def read_truth(written: Written, name: str) -> list[dict[str, str]]:
    with (written.paths[0].parent / "ground_truth" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if path.suffix == ".zst" else data


def test_another_process_with_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(written: Written, tmp_path: Path) -> None:
    code = f"import sys; from pathlib import Path; from pipelines.sample import write; write(Path(sys.argv[1]), rows={ROWS})"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True)
    assert hashes(tmp_path / "again") == hashes(written.paths[0].parent)
    write(tmp_path / "other", rows=ROWS, seed=8)
    assert hashes(tmp_path / "other") != hashes(written.paths[0].parent)


def test_every_reason_has_a_planted_defect() -> None:
    assert defects.planted() == defects.due()


def test_every_planted_reason_stands_in_the_truth(written: Written) -> None:
    found = {code for row in read_truth(written, "defects.csv") for code in row["reasons"].split(";")}
    assert found | {row["reason"] for row in read_truth(written, "warnings.csv")} == defects.due()


def test_a_planted_warning_is_given_and_the_payment_is_accepted(written: Written) -> None:
    planted = {row["transaction_id"]: row["reason"] for row in read_truth(written, "warnings.csv")}
    given: dict[str, list[str]] = {}
    for path in written.paths:
        (source,) = plan.source_files([str(path)], ["Europe/London"], {})
        for code, examples in validate(source, Settings(), None, 1_000).examples.items():
            ids = [identifier for identifier in planted if any(identifier.encode() in raw for _, raw in examples)]
            given |= {identifier: [*given.get(identifier, []), code] for identifier in ids}
    assert given == {identifier: [reason] for identifier, reason in planted.items()}


def test_a_run_finds_exactly_what_was_planted(written: Written, truth: dict[str, Any], tmp_path: Path) -> None:
    load_modulus_table(tmp_path)
    certificate = load(written.paths[0].parent, tmp_path, zones=(truth["zone"],))
    assert certificate["totals"] == truth["totals"]
    found = {
        f["uri"].rpartition("/")[2]: {key: f[key] for key in truth["files"][f["uri"].rpartition("/")[2]]} for f in certificate["files"]
    }
    assert found == truth["files"]


def test_there_are_about_as_many_records_as_were_asked_for(written: Written, truth: dict[str, Any]) -> None:
    assert ROWS <= written.records <= ROWS * 1.2
    assert truth["totals"]["records"] == written.records


def read_slowly(path: Path, faulty: set[int]) -> dict[int, dict[str, str]]:
    """The readable records by number, by the standard library's readers; ``faulty`` records are counted and not read."""
    if ".parquet" in path.name:
        rows = pq.read_table(path).to_pylist()
        return {n: row for n, row in enumerate(rows, start=1) if n not in faulty}
    lines = content(path).decode("utf-8", "surrogateescape").split("\n")
    assert lines.pop() == ""
    if ".ndjson" in path.name:
        return {n: json.loads(line) for n, line in enumerate(lines, start=1) if n not in faulty}
    found = {}
    names, rest = lines[0].split(","), iter(lines[1:])
    for number, line in enumerate(rest, start=1):
        if number not in faulty:
            record = line
            while record.count('"') % 2:  # a quoted newline
                record += "\n" + next(rest)
            (values,) = csv.reader(io.StringIO(record, newline=""), strict=True)
            found[number] = dict(zip(names, values, strict=True))
    return found


def test_a_slow_reading_finds_the_accepted_records_and_their_money_where_the_truth_says(written: Written, truth: dict[str, Any]) -> None:
    faulty: dict[str, set[int]] = defaultdict(set)
    repeated: dict[str, dict[int, str]] = defaultdict(dict)
    for row in read_truth(written, "defects.csv"):
        faulty[row["file"]].add(int(row["record_number"]))
    for row in read_truth(written, "duplicates.csv"):
        repeated[row["file"]][int(row["record_number"])] = row["transaction_id"]
    accepted: list[str] = []
    for path in sorted(written.paths):
        records, money = read_slowly(path, faulty[path.name]), Counter[str]()
        assert max({*records, *faulty[path.name]}) == truth["files"][path.name]["records"]
        for number, record in records.items():
            assert tuple(record) == NAMES
            if number in repeated[path.name]:
                assert record["transaction_id"] == repeated[path.name][number]
            else:
                accepted.append(record["transaction_id"])
                money[record["currency"]] += int(Decimal(record["amount"]).scaleb(EXPONENTS[record["currency"]]))
        assert money == {code: sides["accepted"] for code, sides in truth["files"][path.name]["amount_minor"].items()}
    assert accepted == [row["transaction_id"] for row in read_truth(written, "labels.csv")]


def test_too_few_days_for_the_typologies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 5"):
        write(tmp_path / "short", rows=ROWS, days=4)
    assert not (tmp_path / "short").exists()


def test_local_times_have_londons_offset_in_winter_too(tmp_path: Path) -> None:
    written = write(tmp_path, rows=1_000, days=5, first_day=date(2026, 12, 21))
    data = b"".join(content(path) for path in written.paths if ".csv" in path.name or ".ndjson" in path.name)
    assert b"2026-12-21T" in data
    assert b"+01:00" not in data


def test_typologies_are_there_with_several_instances_each(written: Written) -> None:
    instances = Counter((row["typology"], row["instance"]) for row in read_truth(written, "typologies.csv"))
    assert {typology for typology, _ in instances} == set(typologies.TYPOLOGIES)
    assert min(Counter(typology for typology, _ in instances).values()) >= 2
    assert all(count >= 15 for (typology, _), count in instances.items() if typology in {"velocity", "fan_in", "fan_out"})


def test_labels_name_every_accepted_transaction_once(written: Written, truth: dict[str, Any]) -> None:
    labels = read_truth(written, "labels.csv")
    assert len(labels) == len({row["transaction_id"] for row in labels}) == truth["totals"]["accepted"]
    planted = {row["transaction_id"]: row["typology"] for row in read_truth(written, "typologies.csv")}
    assert {row["transaction_id"]: row["typology"] for row in labels if row["is_suspicious"] == "1"} == planted
