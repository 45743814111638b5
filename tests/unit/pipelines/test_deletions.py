"""Deletion records: what is read of a certificate is what was deleted, and what cannot be so is a fault and is not counted."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compliance.certificate import canonical
from app.errors import LakeDamaged
from pipelines import deletions
from pipelines.reconcile import Tally, count_rows

FILE, RUN = "f" * 64, "run-1"
RECORDS = 500


def rows(numbers: list[int], run_id: str = RUN) -> pa.Table:
    count = len(numbers)
    return pa.table(
        {
            "source_sha256": pa.array([FILE] * count, pa.string()),
            "record_number": pa.array(numbers, pa.int64()),
            "currency": pa.array(["GBP"] * count, pa.string()),
            "amount_minor": pa.array([7 * number for number in numbers], pa.int64()),
            "run_id": pa.array([run_id] * count, pa.string()),
        }
    )


def certificates(*records: dict[str, Any]) -> list[dict[str, Any]]:
    loaded = {"run_id": RUN, "kind": "load", "files": [{"sha256": FILE}]}
    deleted = {"records": list(records), "scores": {}, "feedback": {}}
    said = {"run_id": "run-2", "kind": deletions.KIND, "files": [], "deleted": deleted}
    return [loaded, json.loads(canonical(said))]


def document(numbers: list[int]) -> dict[str, Any]:
    (one,) = deletions.of_rows("accepted", rows(numbers), {FILE: RECORDS})
    return one.document()


@given(st.lists(st.integers(1, RECORDS), min_size=1, unique=True))
def test_what_stays_and_what_is_certified_as_deleted_are_together_what_was_loaded(gone: list[int]) -> None:
    found = deletions.read(certificates(document(gone)))
    assert found.faults == {"run-2": []}
    assert found.numbers_gone() == {(RUN, FILE): len(gone)}
    stays = rows([number for number in range(1, RECORDS + 1) if number not in gone])
    tally = Tally({FILE: RECORDS})
    found.add_to({RUN: tally}, {RUN: Counter()})
    tally.add(count_rows("accepted", stays, {FILE: RECORDS}))
    assert tally.faults() == []
    assert tally.sides[FILE]["accepted"].amount_minor == {"GBP": 7 * RECORDS * (RECORDS + 1) // 2}


@given(st.sets(st.integers(1, RECORDS), min_size=1), st.integers(1, RECORDS))
def test_a_record_that_is_nowhere_or_in_both_is_found(gone: set[int], other: int) -> None:
    found = deletions.read(certificates(document(sorted(gone))))
    tally = Tally({FILE: RECORDS})
    found.add_to({RUN: tally}, {RUN: Counter()})
    stays = {*range(1, RECORDS + 1)} - gone
    tally.add(count_rows("accepted", rows(sorted(stays ^ {other})), {FILE: RECORDS}))
    (fault,) = tally.faults()
    assert fault.endswith(f"record {other} is in the tables more than once" if other in gone else f"record {other} is in no table")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"records": 4}, "names others"),
        ({"side": "lost"}, "names others"),
        ({"run_id": "run-9"}, "which no certificate before it has"),
        ({"sha256": "e" * 64}, "which no certificate before it has"),
        ({"numbers": {"first_byte": 0, "bits": "?"}}, "cannot be read"),
        ({"numbers": {"first_byte": 0}}, "cannot be read"),
        ({"numbers": {"first_byte": 0, "bits": "AAAA"}}, "cannot be read"),
    ],
)
def test_a_deletion_that_cannot_be_so_is_a_fault_and_is_not_counted(change: dict[str, Any], said: str) -> None:
    found = deletions.read(certificates(document([1, 2, 3]) | change))
    assert found.records == []
    (fault,) = found.faults["run-2"]
    assert said in fault


def test_a_deletion_of_what_is_loaded_only_later_is_a_fault() -> None:
    found = deletions.read(reversed(certificates(document([1]))))
    assert found.records == []
    assert len(found.faults["run-2"]) == 1


def test_rows_that_are_not_of_a_loaded_file_or_stand_twice_are_no_deletion() -> None:
    for numbers, records in (([1], {}), ([1, 1], {FILE: RECORDS}), ([RECORDS + 1], {FILE: RECORDS})):
        with pytest.raises(LakeDamaged, match="nothing is deleted"):
            deletions.of_rows("accepted", rows(numbers), records)


def test_a_whole_file_is_a_few_hundred_bytes_however_large_it_is() -> None:
    numbers = np.arange(1, 1_000_001).tolist()
    (one,) = deletions.of_rows("accepted", rows(numbers), {FILE: 1_000_000})
    assert len(json.dumps(one.document())) < 1_000
