"""How long a piece of work takes in this process."""

from collections.abc import Callable
from time import perf_counter


def rounds_of(work: Callable[[], object], rounds: int) -> list[float]:
    """The seconds of so many rounds, one after the other."""
    taken = []
    for _ in range(rounds):
        begun = perf_counter()
        work()
        taken.append(perf_counter() - begun)
    return taken


def warm_rounds_of(work: Callable[[], object], rounds: int) -> list[float]:
    """The same after one round that does not count."""
    work()
    return rounds_of(work, rounds)
