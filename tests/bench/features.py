"""``make bench-features``: parity of batch and online counted, and the features' rate against plain Python and pandas."""

import math
import sys
from collections import Counter, defaultdict, deque
from time import perf_counter

import numpy as np
import pandas as pd

from app.features.histories import Arrivals, Histories
from app.features.payments import Payments, payments
from app.features.timeline import HORIZON_US
from app.features.vector import of_facts, vectors
from tests.bench.main import say
from tests.bench.timing import rounds_of
from tests.support.payments import DAY, HOUR, Payment, arrivals, silver

_WINDOWS = (HOUR, DAY, 7 * DAY, 30 * DAY, HORIZON_US)


def stream(count: int, accounts: int, hubs: int) -> list[Payment]:
    """A bank's payments over a year, in order: most between ordinary accounts, one in five to or from a hub, some with both legs."""
    rng = np.random.default_rng(3)
    at = np.sort(rng.integers(0, 365 * 86_400, count)) * 1_000_000
    payer, payee = rng.integers(0, accounts, (2, count))
    busy = rng.random(count)
    payer = np.where(busy < 0.1, rng.integers(0, hubs, count), payer)
    payee = np.where((busy >= 0.1) & (busy < 0.2), rng.integers(0, hubs, count), payee)
    amount = -np.exp(rng.normal(8, 1.5, count)).astype(np.int64) - 1
    second = np.flatnonzero(rng.random(count - 1) < 0.05) + 1
    payer[second], payee[second], amount[second], at[second] = payer[second - 1], payee[second - 1], -amount[second - 1], at[second - 1]
    return [
        Payment(f"{i:08d}", *values[:2], "GBP", f"A{values[2]}", f"A{values[3]}")
        for i, values in enumerate(zip(at.tolist(), amount.tolist(), payer.tolist(), payee.tolist(), strict=True))
    ]


def parity(count: int) -> None:
    """One million payments through both callers, the online one taking them one at a time."""
    taken = stream(count, count // 40, 20)
    every = arrivals(taken)
    one_by_one = [
        Arrivals(every.silver.slice(i, 1), every.id_high[i : i + 1], every.id_low[i : i + 1], every.content[i : i + 1])
        for i in range(count)
    ]
    amount = np.array([[abs(payment.amount_minor)] for payment in taken])
    begun = perf_counter()
    ordered, rows = payments(silver(taken))
    batch = vectors(ordered)
    between = perf_counter()
    online, different = Histories(), 0
    for row, expected in zip(rows.tolist(), batch, strict=True):
        told = online.take(one_by_one[row])
        different += of_facts(told.booked_at, amount[row], told.facts).tobytes() != expected.tobytes()
    ended = perf_counter()
    say(f"parity: {count:,} payments, {different} differ between batch and online")
    rate = count / (ended - between)
    say(f"  batch {count / (between - begun):,.0f} a second, online {rate:,.0f} a second ({1e6 / rate:.0f} µs each)")
    if different:
        sys.exit(1)


class PlainAccount:
    """One party's windows as people write them in Python."""

    def __init__(self) -> None:
        self.windows: list[tuple[deque[tuple[int, int, int]], deque[tuple[int, int, int]]]] = [(deque(), deque()) for _ in _WINDOWS]
        self.sums = [[0, 0] for _ in _WINDOWS]
        self.met: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self.last: list[int | None] = [None, None]
        self.logs, self.squares = [0, 0], [0, 0]
        self.paid: Counter[int] = Counter()

    def forget(self, now: int) -> None:
        for window, length in enumerate(_WINDOWS):
            for side in (0, 1):
                queue = self.windows[window][side]
                while queue and now - queue[0][0] > length:
                    _, amount, other = queue.popleft()
                    self.sums[window][side] -= amount
                    if window == 2:
                        self.met[side][other] -= 1
                        if not self.met[side][other]:
                            del self.met[side][other]
                    elif window == 4:
                        log = round(math.log1p(amount) * 1000)
                        self.logs[side] -= log
                        self.squares[side] -= log * log
                        if side == 0:
                            self.paid[other] -= 1

    def remember(self, now: int, amount: int, other: int, side: int) -> None:
        for window in range(len(_WINDOWS)):
            self.windows[window][side].append((now, amount, other))
            self.sums[window][side] += amount
        self.met[side][other] += 1
        log = round(math.log1p(amount) * 1000)
        self.logs[side] += log
        self.squares[side] += log * log
        self.last[side] = now
        if side == 0:
            self.paid[other] += 1


def plain(ordered: Payments) -> list[tuple[float, ...]]:
    """The same windows in one pass of plain Python."""
    accounts: defaultdict[int, PlainAccount] = defaultdict(PlainAccount)
    out = []
    columns = (ordered.booked_at, ordered.amount, ordered.payer, ordered.payee)
    for now, amount, payer, payee in zip(*(column.tolist() for column in columns), strict=True):
        one, other = accounts[payer], accounts[payee]
        one.forget(now)
        other.forget(now)
        counts = [len(one.windows[w][0]) for w in range(4)] + [len(other.windows[w][1]) for w in (1, 2, 3)]
        sums = [one.sums[1][0], one.sums[3][0], one.sums[1][1], other.sums[2][1]]
        logs = one.logs[0], other.logs[1], one.squares[0], other.squares[1]
        since = (now - (one.last[0] or now)) / HOUR, (now - (one.last[1] or now)) / HOUR
        own = math.log1p(amount), math.sin(now % DAY), math.cos(now % DAY), float(one.paid[payee] == 0)
        met = len(one.met[0]), len(one.met[1]), len(other.met[1])
        out.append((*own, *map(math.log1p, counts), *map(math.log1p, sums), *met, *since, *logs))
        one.remember(now, amount, payee, 0)
        other.remember(now, amount, payer, 1)
    return out


def rolling(ordered: Payments) -> pd.DataFrame:
    """Thirteen of the windows (counts and sums) in pandas; distinct parties, which rolling cannot, are left out."""
    frame = pd.DataFrame(
        {"at": pd.to_datetime(ordered.booked_at, unit="us"), "amount": ordered.amount, "payer": ordered.payer, "payee": ordered.payee}
    )
    frame = frame.set_index("at")
    found = {}
    for party, windows in (("payer", ("1h", "24h", "7D", "30D")), ("payee", ("24h", "7D", "30D"))):
        for window in windows:
            amounts = frame.groupby(party)["amount"].rolling(window, closed="left")
            found[f"{party}_count_{window}"] = amounts.count()
            if window != "1h":
                found[f"{party}_sum_{window}"] = amounts.sum()
    return pd.DataFrame({name: values.to_numpy() for name, values in found.items()})


def speed(count: int) -> None:
    """Ratios on the same payments, which are in order already."""
    ordered, _ = payments(silver(stream(count, count // 40, 20)))
    vectors(ordered)
    ours = min(rounds_of(lambda: vectors(ordered), 3))
    say(f"speed: {count / ours:,.0f} payments a second, 24 features each")
    theirs = sum(rounds_of(lambda: plain(ordered), 1))
    say(f"  plain Python in one pass: {count / theirs:,.0f} a second; {theirs / ours:.0f} times (aim 20)")
    theirs = sum(rounds_of(lambda: rolling(ordered), 1))
    say(f"  pandas rolling, thirteen of the windows: {count / theirs:,.0f} a second; {theirs / ours:.0f} times (aim 5)")


def hub(count: int) -> None:
    """All payments from one account, against as many spread over many."""
    spread, _ = payments(silver(stream(count, count // 40, 20)))
    lone = Payments(
        spread.booked_at, spread.amount, np.zeros(count, dtype=np.int32), spread.payee + 1, np.arange(count), spread.parties + 1
    )
    ratio = min(rounds_of(lambda: vectors(lone), 3)) / min(rounds_of(lambda: vectors(spread), 3))
    say(f"hub: {count:,} payments of one account take {ratio:.2f} times as long as spread over {count // 40:,} accounts")


def main() -> None:
    """Run all."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    speed(min(count, 300_000))
    hub(count)
    parity(count)


if __name__ == "__main__":
    main()
