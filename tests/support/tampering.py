"""A stage whose work is spoilt between two stages: what a broken disk, a bug or a hand in the lake would do."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.contracts.lake import SCORES, SILVER
from pipelines.scores import ScoredPart
from pipelines.silver import Made

Tamper = Callable[[Path], None]


def drop_a_row(path: Path) -> None:
    pq.write_table(pq.ParquetFile(path).read().slice(1), path)


def double_a_row(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), path)


def move_a_penny(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    first = pa.array([1] + [0] * (rows.num_rows - 1), pa.int64())
    _set(path, rows, "amount_minor", pc.add(rows["amount_minor"], first))


def change_a_currency(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    _set(path, rows, "currency", pa.array(["EUR", *rows["currency"].to_pylist()[1:]]))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove(path: Path) -> None:
    path.unlink()


def _set(path: Path, rows: pa.Table, column: str, values: pa.Array) -> None:
    pq.write_table(rows.set_column(rows.schema.get_field_index(column), column, values), path)


def staged_silver(result: Any) -> str | None:
    return f"{SILVER.path}/{result.silver.path}" if isinstance(result, Made) and result.silver is not None else None


def staged_scores(result: Any) -> str | None:
    return f"{SCORES.path}/{result.staged.path}" if isinstance(result, ScoredPart) else None


class Tampering:
    """Runs tasks in this process; the first file that a stage wrote is changed once before the next stage sees it."""

    def __init__(self, lake: Path, tamper: Tamper, staged: Callable[[Any], str | None] = staged_silver) -> None:
        self._lake = lake
        self._tamper = tamper
        self._staged = staged
        self._done = False

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for result in map(function, items):
            path = self._staged(result)
            if path is not None and not self._done:
                self._tamper(self._lake / path)
                self._done = True
            yield result
