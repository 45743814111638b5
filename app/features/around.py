"""The payments around some: those of the same accounts that are not later, as scenarios look at them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.columns import Mask
from app.features.payments import UNKNOWN, Int32s, Int64s, Payments
from app.features.stretches import Rows, Stretches
from app.jit import kernel


@dataclass(frozen=True)
class Around:
    """n payments in order, and which of them were asked about.

    Numbers of parties are of these payments alone; a second leg stands for UNKNOWN if the first is not among them.
    """

    payments: Payments
    parties: pa.StringArray  # by number, as ``payments.party`` names them
    own: Mask  # of each party: it is an account of this bank
    transaction_id: pa.StringArray
    country: pa.StringArray
    asked: Mask


def near(rows: Int64s, reach_us: int, of: Rows, pool: Int64s, stretches: Stretches) -> Int64s:
    """These rows, and those of their parties that were booked at most ``reach_us`` before one of them; each once, in no order."""
    sides = np.concatenate([of.payer[rows], of.payee[rows]])
    known = sides != UNKNOWN
    parties, place = np.unique(sides[known], return_inverse=True)
    at = np.tile(of.booked_at[rows], 2)[known]
    earliest, latest = np.full(len(parties), at.max(initial=0)), np.full(len(parties), at.min(initial=0))
    np.minimum.at(earliest, place, at)
    np.maximum.at(latest, place, at)
    spans = np.empty((len(parties), 2), dtype=np.int64)
    _span(parties, earliest - reach_us, latest, of.booked_at, pool, stretches, spans)
    found = [pool[begin:end] for begin, end in spans.tolist()]
    return np.unique(np.concatenate([rows, *found]))


@kernel
def _span(parties: Int32s, since: Int64s, until: Int64s, booked_at: Int64s, pool: Int64s, stretches: Stretches, spans: Int64s) -> None:
    """Where in the pool the payments of each party lie that were booked from one instant to another."""
    for i in range(parties.size):
        begin = stretches.at[parties[i]]
        end = begin + stretches.size[parties[i]]
        for bound in range(2):
            low, high = begin, end
            while low < high:
                middle = (low + high) // 2
                at = booked_at[pool[middle]]
                if at < since[i] or (bound == 1 and at <= until[i]):
                    low = middle + 1
                else:
                    high = middle
            spans[i, bound] = low


def numbered_anew(payer: Int32s, payee: Int32s) -> tuple[Int32s, Int32s, Int64s]:
    """The sides by new numbers, of the parties that there are among them alone, and these parties' old ones."""
    sides = np.concatenate([payer, payee])
    known = sides != UNKNOWN
    used, numbers = np.unique(sides[known], return_inverse=True)
    sides[known] = numbers
    return sides[: len(payer)], sides[len(payer) :], used
