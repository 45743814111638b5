"""The sample bank: the same every time, complete, and what it says of itself is true."""

import csv
import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from app.contracts.landing import NAMES
from pipelines.sample import Written, defects, typologies, write
from tests.support.lake import load

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


def test_every_reason_to_reject_has_a_planted_defect() -> None:
    assert defects.planted() == defects.due()


def test_every_planted_reason_stands_in_the_truth(written: Written) -> None:
    found = {code for row in read_truth(written, "defects.csv") for code in row["reasons"].split(";")}
    assert found == defects.due()


def test_a_run_finds_exactly_what_was_planted(written: Written, truth: dict[str, Any], tmp_path: Path) -> None:
    certificate = load(written.paths[0].parent, tmp_path, zones=(truth["zone"],))
    assert certificate["totals"] == truth["totals"]
    found = {
        f["uri"].rpartition("/")[2]: {key: f[key] for key in truth["files"][f["uri"].rpartition("/")[2]]} for f in certificate["files"]
    }
    assert found == truth["files"]


def test_there_are_about_as_many_records_as_were_asked_for(written: Written, truth: dict[str, Any]) -> None:
    assert ROWS <= written.records <= ROWS * 1.2
    assert truth["totals"]["records"] == written.records


def test_files_hold_the_records_that_a_slow_reading_finds(written: Written, truth: dict[str, Any]) -> None:
    faulty = {(row["file"], int(row["record_number"])): row["reasons"] for row in read_truth(written, "defects.csv")}
    for path in written.paths:
        if ".parquet" in path.name:
            assert pq.read_metadata(path).num_rows == truth["files"][path.name]["records"]
        elif ".ndjson" in path.name:
            lines = content(path).split(b"\n")[:-1]
            assert len(lines) == truth["files"][path.name]["records"]
            good = [json.loads(line) for n, line in enumerate(lines, start=1) if (path.name, n) not in faulty]
            assert all(set(record) == set(NAMES) for record in good)


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
