"""What the engine needs of histories and of answers, whoever holds them: this process alone, or all replicas together."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from app.columns import Mask
from app.features.around import Around
from app.features.histories import NEW, Arrivals, Histories, Taken, Words
from app.features.outcomes import Labels
from app.features.payments import Int64s
from app.features.trimming import Trimming


class Store(Protocol):
    """Accounts' histories. Methods are those of ``Histories``, one that trims, and four that only a store that is shared has work for."""

    @property
    def degraded(self) -> bool:
        """True while payments of other replicas cannot be known: answers say so."""

    def __len__(self) -> int: ...
    @property
    def parties(self) -> int: ...
    def status(self, arrivals: Arrivals) -> Int64s: ...
    def take(self, arrivals: Arrivals) -> Taken: ...
    def load(self, arrivals: Arrivals) -> int: ...
    def judge(self, id_high: Words, id_low: Words, labels: Labels) -> int: ...
    def told(self, rows: Int64s) -> Taken: ...
    def sides(self, rows: Int64s) -> tuple[Mask, Mask, Mask]: ...
    def around(self, rows: Int64s, reach_us: int = ...) -> Around: ...
    def id_of(self, row: int) -> bytes: ...
    def names(self, id_high: Words, id_low: Words) -> list[tuple[str | None, str | None] | None]: ...
    def booked_at(self) -> Int64s: ...

    def trimming(self, before_us: int) -> Trimming:
        """Begin to let go of what was booked before a day; ``Trimming.finish`` does it."""

    def begin(self) -> None:
        """The lake is loaded, the journals are to be: take in what others have said since."""

    def load_from_lake(self, arrivals: Arrivals) -> int:
        """As ``load``, of payments that the lake has."""

    def catch_up(self) -> None:
        """Take in what others have taken since, though nobody asks."""

    def close(self) -> None:
        """Let go of what is held outside this process."""


class Answers(Protocol):
    """The answers that stand."""

    def settle(self, answers: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """By transaction_id the answers that stand: these, or those that were given before."""


class OwnHistories(Histories):
    """Histories of one process, which are all there are."""

    @property
    def degraded(self) -> bool:
        """Never: there is nobody else."""
        return False

    def begin(self) -> None:
        """There is nobody else."""

    def trimming(self, before_us: int) -> Trimming:
        """Begin to let go of what was booked before a day."""
        return Trimming(self, before_us)

    def load(self, arrivals: Arrivals) -> int:
        """Take in payments of a journal, which may have two with one id; gives how many of them were new."""
        return int(np.count_nonzero(self.take(arrivals, tell=False).status == NEW))

    def load_from_lake(self, arrivals: Arrivals) -> int:
        """The same of the lake's payments, the first of which are taken in all at once."""
        return super().load(arrivals)

    def catch_up(self) -> None:
        """There is nobody else."""

    def close(self) -> None:
        """There is nothing outside."""


class OwnAnswers:
    """Answers of one process, which remembers those that it gave."""

    def settle(self, answers: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """These."""
        return answers
