"""The numbers that a model takes, from what lies before a payment: the same scalar arithmetic for a million rows and for one."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from app.features import feature_set, timeline
from app.features.payments import DAY_US, Int64s, Payments
from app.jit import inlined, kernel

Vectors = npt.NDArray[np.float64]

_HOUR_US: Final = 3_600 * 1_000_000
_PASS_THROUGH_MOST: Final = 10.0

_PRIOR_PAYMENTS: Final = 10.0
_PRIOR_DEVIATION: Final = 3000.0
"""A history's deviation is taken together with that of so many payments, in thousandths of a logarithm: a short history says little."""


def vectors(payments: Payments, wanted: Int64s | None = None) -> Vectors:
    """The features of the ``wanted`` rows, all if None, as ``feature_set`` names them: float64[wanted, 24]."""
    rows = np.arange(len(payments)) if wanted is None else wanted
    return of_facts(payments.booked_at[payments.stands_for[rows]], payments.amount[rows], timeline.look_back(payments, wanted))


def of_facts(booked_at: Int64s, amount: Int64s, facts: Int64s) -> Vectors:
    """The same from what ``timeline.look_back`` gave; ``booked_at`` is that of the payment that a row stands for."""
    out = np.empty((len(facts), feature_set.COUNT), dtype=np.float64)
    _vectors(booked_at, amount, facts, out)
    return out


@kernel
def _vectors(booked_at: Int64s, amount: Int64s, facts: Int64s, out: Vectors) -> None:
    for i in range(amount.size):
        fact, row = facts[i], out[i]
        angle = 2.0 * math.pi * float(booked_at[i] % DAY_US) / float(DAY_US)
        row[0] = math.log1p(float(amount[i]))
        row[1] = math.sin(angle)
        row[2] = math.cos(angle)
        row[3] = math.log1p(float(fact[timeline.PAYER_OUT_1H]))
        row[4] = math.log1p(float(fact[timeline.PAYER_OUT_24H]))
        row[5] = math.log1p(float(fact[timeline.PAYER_OUT_30D]))
        row[6] = math.log1p(float(fact[timeline.PAYER_OUT_SUM_24H]))
        row[7] = math.log1p(float(fact[timeline.PAYER_OUT_SUM_30D]))
        row[8] = math.log1p(float(fact[timeline.PAYER_PAYEES_7D]))
        row[9] = _log_hours(fact[timeline.PAYER_SINCE_OUT], timeline.HORIZON_US)
        row[10] = _log_hours(fact[timeline.PAYER_AGE], 0)
        row[11] = _burst(fact[timeline.PAYER_OUT_24H], fact[timeline.PAYER_OUT_7D], 7)
        row[12] = math.log1p(float(fact[timeline.PAYEE_IN_24H]))
        row[13] = math.log1p(float(fact[timeline.PAYEE_IN_7D]))
        row[14] = math.log1p(float(fact[timeline.PAYEE_IN_SUM_7D]))
        row[15] = math.log1p(float(fact[timeline.PAYEE_PAYERS_7D]))
        row[16] = _log_hours(fact[timeline.PAYEE_AGE], 0)
        row[17] = _burst(fact[timeline.PAYEE_IN_24H], fact[timeline.PAYEE_IN_30D], 30)
        row[18] = _pass_through(fact[timeline.PAYER_OUT_SUM_24H] + amount[i], fact[timeline.PAYER_IN_SUM_24H])
        row[19] = _log_hours(fact[timeline.PAYER_SINCE_IN], timeline.HORIZON_US)
        row[20] = math.log1p(float(fact[timeline.PAYER_PAYERS_7D]))
        row[21] = 1.0 if fact[timeline.PAYER_PAID_PAYEE] == 0 else 0.0
        log = timeline.log_units(amount[i])
        row[22] = _deviations(log, fact[timeline.PAYER_OUTS], fact[timeline.PAYER_OUT_LOGS], fact[timeline.PAYER_OUT_SQUARES])
        row[23] = _deviations(log, fact[timeline.PAYEE_INS], fact[timeline.PAYEE_IN_LOGS], fact[timeline.PAYEE_IN_SQUARES])


@inlined
def _log_hours(time: int, otherwise: int) -> float:
    return math.log1p(float(otherwise if time == timeline.NEVER else time) / float(_HOUR_US))


@inlined
def _burst(in_a_day: int, in_all: int, days: int) -> float:
    return (float(in_a_day) + 1.0) / (float(in_all) / float(days) + 1.0)


@inlined
def _pass_through(out: int, came: int) -> float:
    return min(float(out) / float(came), _PASS_THROUGH_MOST) if came > 0 else 0.0


@inlined
def _deviations(log: int, count: int, logs: int, squares: int) -> float:
    """Both sums are whole numbers; two payments are the least that have a deviation."""
    if count < 2:
        return 0.0
    mean = float(logs) / float(count)
    spread = max(float(squares) - float(logs) * mean, 0.0)
    variance = (spread + _PRIOR_PAYMENTS * _PRIOR_DEVIATION * _PRIOR_DEVIATION) / (float(count) + _PRIOR_PAYMENTS)
    return (float(log) - mean) / math.sqrt(variance)
