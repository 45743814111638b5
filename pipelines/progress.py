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
    def stage(self, name: str, tasks: int = 1) -> Iterator[Callable[[Iterator[Result]], Iterator[Result]]]:
        """Time a stage; pass the stage's results through what it gives, so that the observer sees them come."""
        begun = perf_counter()
        self._observer.begun(name, tasks)

        def watch(results: Iterator[Result]) -> Iterator[Result]:
            for result in results:
                yield result
                self._observer.advanced(name)

        yield watch
        self.seconds[name] = round(self.seconds.get(name, 0.0) + perf_counter() - begun, 3)
        self._observer.ended(name)
