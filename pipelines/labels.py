"""Analysts' decisions about payments, from a file: which were suspicious, and of what kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from app.errors import UsageError
from app.features.outcomes import CLEARED, SUSPICIOUS, UNLABELLED, Labels

_COLUMNS = ("transaction_id", "is_suspicious", "typology")


@dataclass(frozen=True)
class LabelFile:
    """Judged payments, at least one, each once."""

    path: str
    transaction_id: pa.StringArray
    suspicious: npt.NDArray[np.bool_]
    typology: pa.StringArray

    def of(self, transaction_ids: pa.ChunkedArray) -> tuple[Labels, npt.NDArray[np.object_]]:
        """For each of these payments its label and its typology (empty where there is none); UsageError if none of them is judged."""
        labels, typologies = self.among(transaction_ids)
        if (labels == UNLABELLED).all():
            raise UsageError(f"{self.path}: none of its transaction_ids is in the lake; load the payments first (`leofric run`)")
        return labels, typologies

    def among(self, transaction_ids: pa.ChunkedArray) -> tuple[Labels, npt.NDArray[np.object_]]:
        """The same of payments of which perhaps none is judged."""
        found = pc.index_in(transaction_ids, self.transaction_id)
        there = pc.is_valid(found).to_numpy(zero_copy_only=False)
        places = pc.fill_null(found, 0).to_numpy()
        labels = np.where(self.suspicious[places], SUSPICIOUS, CLEARED).astype(np.int8)
        return np.where(there, labels, UNLABELLED).astype(np.int8), np.where(
            there, self.typology.to_numpy(zero_copy_only=False)[places], ""
        )


def read_labels(path: Path) -> LabelFile:
    """A CSV file, plain or ``.gz``, with transaction_id and is_suspicious (0 or 1), and a typology if there is one."""
    try:
        table = pa.csv.read_csv(
            path,
            convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False),
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} is no CSV file of labels: {error}") from None
    missing = [name for name in _COLUMNS[:2] if table.column_names.count(name) != 1]
    if missing:
        raise UsageError(f"{path}: the column {missing[0]} is missing or there twice; labels have the columns {', '.join(_COLUMNS)}")
    ids, flags = (table[name].combine_chunks() for name in _COLUMNS[:2])
    if not len(ids):
        raise UsageError(f"{path} has no labels")
    for wrong, what in (
        (~np.isin(flags.to_numpy(zero_copy_only=False), ("0", "1")), "is_suspicious is neither 0 nor 1"),
        (_repeated(ids), "this transaction_id is there twice"),
    ):
        if wrong.any():
            record = int(np.flatnonzero(wrong)[0])
            raise UsageError(f"{path}, record {record + 1} ({ids[record].as_py()}): {what}")
    typology = table["typology"].combine_chunks() if "typology" in table.column_names else pa.array([""] * len(ids), pa.string())
    return LabelFile(str(path), ids, pc.equal(flags, "1").to_numpy(zero_copy_only=False), typology)


def _repeated(ids: pa.StringArray) -> npt.NDArray[np.bool_]:
    """True at the second and every later time that an id comes."""
    numbers = ids.dictionary_encode().indices.to_numpy()
    repeated = np.ones(len(numbers), dtype=np.bool_)
    repeated[np.unique(numbers, return_index=True)[1]] = False
    return repeated
