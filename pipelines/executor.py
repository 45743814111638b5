"""Where a stage's tasks run. A stage is a function over references; its tasks may run anywhere, in any order, and twice."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from app.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Maps a function over items; results come as they are ready."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]: ...


class InProcess:
    """One task after the other, here: for tests, and for validation without a cluster."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        return map(function, items)


class RayData:
    """A Ray Data pipeline a stage: a row an item; a task takes one row, or a few where there are many."""

    _MOST_TASKS = 64  # enough to keep a cluster's workers busy to the end; each more costs Ray tens of milliseconds

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        import ray.data

        if not items:
            return
        rows = [{"item": pickle.dumps(item)} for item in items]
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), self._MOST_TASKS))
        for row in dataset.map(_Task(function), concurrency=self._settings.workers).iter_rows():
            yield pickle.loads(row["result"])


class _Task:
    """A function of items as a function of rows."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": pickle.dumps(self._function(pickle.loads(row["item"])))}
