"""A landing file before it is written: its payments, what is planted among them, and what must become of each record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sample.payments import SCHEMA

ACCEPTED, QUARANTINED, DUPLICATE = 0, 1, 2
Row = Mapping[str, object]


@dataclass
class Draft:
    """Payments of one file in order, and extra ones that are planted behind some of them."""

    name: str
    payments: pa.Table
    extras: list[tuple[int, Row, int, tuple[str, ...]]] = field(default_factory=list)  # behind which row, what, fate, reasons
    raw: list[tuple[int, bytes, str]] = field(default_factory=list)  # behind which row, bytes, reason

    def row(self, index: int) -> dict[str, object]:
        return dict(self.payments.slice(index, 1).to_pylist()[0])

    def finish(self) -> "Finished":
        """Put everything in its place."""
        count = self.payments.num_rows
        planted = pa.Table.from_pylist([dict(row) for _, row, _, _ in self.extras], SCHEMA)
        place = np.concatenate([np.arange(count), np.array([at for at, *_ in self.extras], dtype=np.int64)])
        order = np.argsort(place, kind="stable")
        fate = np.concatenate([np.zeros(count, dtype=np.uint8), np.array([fate for _, _, fate, _ in self.extras], dtype=np.uint8)])
        why = {count + i: reasons for i, (_, _, _, reasons) in enumerate(self.extras) if reasons}
        raw = sorted(self.raw, key=lambda item: item[0])
        before = np.searchsorted(place[order], [at for at, _, _ in raw], side="right")
        return Finished(
            self.name,
            pa.concat_tables([self.payments, planted]).take(pa.array(order)),
            fate[order],
            {position: why[source] for position, source in enumerate(order.tolist()) if source in why},
            [(int(at), data, reason) for at, (_, data, reason) in zip(before, raw, strict=True)],
        )


@dataclass(frozen=True)
class Finished:
    """A file's rows in order, the fate of each, and the raw records that stand before some of them."""

    name: str
    payments: pa.Table
    fate: npt.NDArray[np.uint8]
    reasons: Mapping[int, tuple[str, ...]]  # by row
    raw: Sequence[tuple[int, bytes, str]]  # before which row, bytes, reason

    @property
    def records(self) -> int:
        return len(self.fate) + len(self.raw)

    def row_numbers(self) -> npt.NDArray[np.int64]:
        """The record number of each row."""
        rows = np.arange(self.payments.num_rows)
        numbers: npt.NDArray[np.int64] = rows + 1 + np.searchsorted([at for at, _, _ in self.raw], rows, side="right")
        return numbers

    def faults(self) -> list[tuple[int, tuple[str, ...]]]:
        """Record number and reasons of every record that must be quarantined."""
        numbers = self.row_numbers()
        rows = [(int(numbers[row]), reasons) for row, reasons in self.reasons.items()]
        return sorted(rows + [(at + 1 + i, (reason,)) for i, (at, _, reason) in enumerate(self.raw)])

    def amounts(self) -> dict[str, dict[str, int]]:
        """By currency: the minor units that can be read, and where they must go."""
        unreadable = [row for row, reasons in self.reasons.items() if any(code.startswith(("amount_", "currency_")) for code in reasons)]
        readable = np.ones(len(self.fate), dtype=np.bool_)
        readable[unreadable] = False
        table = pa.table(
            {"currency": self.payments["currency"], "amount": self.payments["amount_minor"], "fate": pa.array(self.fate)}
        ).filter(pa.array(readable))
        found: dict[str, dict[str, int]] = {}
        for row in table.group_by(["currency", "fate"]).aggregate([("amount", "sum")]).to_pylist():
            sides = found.setdefault(row["currency"], {"source": 0, "accepted": 0, "quarantined": 0, "duplicates": 0})
            sides["source"] += row["amount_sum"]
            sides[("accepted", "quarantined", "duplicates")[row["fate"]]] += row["amount_sum"]
        return dict(sorted(found.items()))

    def accepted_ids(self) -> pa.ChunkedArray:
        return pc.filter(self.payments["transaction_id"], pa.array(self.fate == ACCEPTED))
