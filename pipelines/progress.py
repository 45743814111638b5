"""Who is told how far a run has come."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Observer(Protocol):
    """Is told of each stage: when it begins, how many of its tasks have ended, when it ends."""

    def begun(self, stage: str, tasks: int) -> None: ...

    def advanced(self, stage: str) -> None: ...

    def ended(self, stage: str) -> None: ...


class Silent:
    """Wants to know nothing."""

    def begun(self, stage: str, tasks: int) -> None:
        """Nothing."""

    def advanced(self, stage: str) -> None:
        """Nothing."""

    def ended(self, stage: str) -> None:
        """Nothing."""


class Stages:
    """Times the stages of a run and tells the observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, tasks: int = 1) -> Iterator[Callable[[Iterator[Result]], list[Result]]]:
        """Time a stage; call what it gives on the stage's results to gather them."""
        begun = perf_counter()
        self._observer.begun(name, tasks)

        def gather(results: Iterator[Result]) -> list[Result]:
            gathered = []
            for result in results:
                gathered.append(result)
                self._observer.advanced(name)
            return gathered

        yield gather
        self.seconds[name] = round(self.seconds.get(name, 0.0) + perf_counter() - begun, 3)
        self._observer.ended(name)
