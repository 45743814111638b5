import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from app.errors import UsageError
from app.features.outcomes import CLEARED, SUSPICIOUS, UNLABELLED
from pipelines.labels import read_labels


def written(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["labels.csv", "labels.csv.gz"])
def test_each_payment_gets_its_label_and_its_typology(tmp_path: Path, name: str) -> None:
    read = read_labels(written(tmp_path, "typology,transaction_id,is_suspicious\ncycle,0001,1\n,NA,0\n", name))
    labels, typologies = read.of(pa.chunked_array([["NA", "x"], ["0001"]]))
    assert labels.tolist() == [CLEARED, UNLABELLED, SUSPICIOUS]
    assert typologies.tolist() == ["", "", "cycle"]


def test_a_typology_is_not_needed(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, "transaction_id,is_suspicious\na,1\n")).of(pa.chunked_array([["a"]]))[1].tolist() == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no CSV file of labels"), ("transaction_id\na\n", "is_suspicious is missing"),
        ("id,is_suspicious\na,1\n", "transaction_id is missing"),
        ("transaction_id,is_suspicious\na,1\nb,yes\n", r"record 2 \(b\): is_suspicious is neither 0 nor 1"),
        ("transaction_id,is_suspicious\na,1\nb,0\na,0\n", r"record 3 \(a\): this transaction_id is there twice"),
        ("transaction_id,is_suspicious\na,1,x\n", "no CSV file of labels"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_file_of_labels_is_refused_with_its_record(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_labels(written(tmp_path, text))


def test_a_missing_file_and_labels_of_other_payments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_labels(tmp_path / "nowhere.csv")
    read = read_labels(written(tmp_path, "transaction_id,is_suspicious\na,1\n"))
    with pytest.raises(UsageError, match="none of its transaction_ids is in the lake"):
        read.of(pa.chunked_array([["b"]]))
