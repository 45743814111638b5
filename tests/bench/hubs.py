"""``make bench-hubs``: what one payment costs that is to or from an account with many payments, beside one between ordinary accounts.

The hub is paid and pays evenly over 180 days, or pays all on six paydays; every payment that is measured comes last, one second after the
one before. Seconds of this thread, medians.
"""

import sys
from collections.abc import Callable, Iterator
from statistics import median
from time import thread_time

import numpy as np
import pyarrow as pa

from app.columns import Mask
from app.features.histories import Arrivals, Histories
from app.features.outcomes import CLEARED, SUSPICIOUS
from app.features.payments import DAY_US, Int64s
from tests.bench.main import say

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_ORDINARY, _OTHERS = 60, 20_000
_DAYS = 180
_ASKED = 200


def evenly(count: int) -> Int64s:
    """Instants over all days."""
    return np.linspace(0, _DAYS * DAY_US - 1, count, dtype=np.int64)


def on_paydays(count: int) -> Int64s:
    """Instants within an hour on each thirtieth day, the last one three days ago."""
    months = np.arange(count) * 6 // max(count, 1)
    return (months * 30 + 27) * DAY_US + np.arange(count) * 3_600_000_000 // max(count, 1)


def arrivals(booked_at: Int64s, payer: Int64s, payee: Int64s, first: int, prints: Int64s) -> Arrivals:
    """Payments of a penny and more, with ids from ``first`` on."""
    count = len(booked_at)
    words = np.random.default_rng(first).integers(0, 1 << 62, (2, count), dtype=np.uint64)
    text = pa.array([f"A{number}" for number in range(int(max(payer.max(), payee.max())) + 1)])
    silver = pa.table(
        {
            "transaction_id": pa.array([f"{number:010d}" for number in range(first, first + count)]),
            "booked_at": pa.array(booked_at).cast(pa.timestamp("us", tz="UTC")),
            "amount_minor": pa.array(-(np.arange(first, first + count) % 9_973) - 1),
            "currency": pa.array(["GBP"] * count),
            "payer": text.take(pa.array(payer)),
            "payee": text.take(pa.array(payee)),
            "country": pa.array(["GB"] * count),
        }
    )
    return Arrivals(silver, words[0], words[1], prints.astype(np.uint64))


def bank(instants: Int64s, *, judged: bool) -> Histories:
    """Account 0 is the hub, 1 to 100 are ordinary ones with 60 payments each; the hub pays 19 in 20 of its payments, to many others.

    Others pay each other meanwhile: what lies in memory is the whole bank in order of time, the hub's payments far from each other.
    """
    generator = np.random.default_rng(1)
    hub, count = np.zeros(len(instants), dtype=np.int64), len(instants)
    other = 101 + generator.integers(0, _OTHERS, count)
    comes: Mask = generator.random(count) < 0.05
    small = np.concatenate([1 + np.arange(100 * _ORDINARY) % 100, 101 + generator.integers(0, _OTHERS, min(3 * count, 1_000_000))])
    booked = np.concatenate([instants, generator.integers(0, _DAYS * DAY_US, len(small))])
    payer = np.concatenate([np.where(comes, other, hub), small])
    payee = np.concatenate([np.where(comes, hub, other), 101 + generator.integers(0, _OTHERS, len(small))])
    every = arrivals(booked, payer, payee, 0, np.arange(len(booked)))
    online = Histories()
    online.load(every)
    if judged:
        some = np.arange(0, len(booked), 50)
        online.judge(every.id_high[some], every.id_low[some], np.where(some % 3, CLEARED, SUSPICIOUS).astype(np.int8))
    return online


def asked(kind: str, begin: int, rng: np.random.Generator) -> Iterator[Arrivals]:
    """Payments one by one, each a second after the one before."""
    for number in range(begin, begin + _ASKED):
        small, other = 1 + number % 100, 101 + int(rng.integers(0, _OTHERS))
        payer, payee = {"from the hub": (0, other), "to the hub": (other, 0), "ordinary": (small, other), "late": (0, other)}[kind]
        at = _DAYS * DAY_US + number * 1_000_000 - (DAY_US // 4 if kind == "late" else 0)
        yield arrivals(np.array([at]), np.array([payer]), np.array([payee]), number, np.array([number]))


def cost(online: Histories, kind: str, begin: int) -> float:
    """Microseconds of one ``take``."""
    taken = []
    for one in list(asked(kind, begin, np.random.default_rng(begin))):
        started = thread_time()
        online.take(one)
        taken.append(thread_time() - started)
    return median(taken[10:]) * 1e6


def measure(name: str, instants: Callable[[int], Int64s], *, judged: bool, sizes: tuple[int, ...]) -> None:
    """One line for each size."""
    say(f"{name}{', with judged payments' if judged else ''}: µs a payment (times an ordinary one)")
    for size in sizes:
        online = bank(instants(size), judged=judged)
        found = {
            kind: cost(online, kind, 10_000_000 + place * 1_000)
            for place, kind in enumerate(["ordinary", "from the hub", "to the hub", "late"])
        }
        parts = [f"{kind} {cost:7.0f} ({cost / found['ordinary']:.1f})" for kind, cost in found.items()]
        say(f"  hub of {size:>9,}: {', '.join(parts)}")


def main() -> None:
    """Run all; sizes may be given."""
    sizes = tuple(int(word) for word in sys.argv[1:]) or _SIZES
    cost(bank(evenly(1_000), judged=True), "from the hub", 20_000_000)
    measure("evenly", evenly, judged=False, sizes=sizes)
    measure("evenly", evenly, judged=True, sizes=sizes)
    measure("on six paydays", on_paydays, judged=False, sizes=sizes)


if __name__ == "__main__":
    main()
