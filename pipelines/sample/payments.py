"""Ordinary payments: what each kind of them looks like in days, hours, amounts and words."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.sample.accounts import Numbers, Society, Strings

HOUR = 3_600_000_000  # µs
DAY = 24 * HOUR
EXPONENTS = {"GBP": 2, "EUR": 2, "JPY": 0, "KWD": 3}

# A payment before it is written: booked is µs since 1970 UTC, amount_minor in minor units; timestamp and amount, where not null,
# are written instead of them (that is how a defect is planted).
SCHEMA = pa.schema(
    [
        ("transaction_id", pa.string()), ("booked", pa.int64()), ("timestamp", pa.string()), ("sort_code", pa.string()),
        ("account_number", pa.string()), ("counterparty_sort_code", pa.string()), ("counterparty_account", pa.string()),
        ("counterparty_iban", pa.string()), ("amount_minor", pa.int64()), ("amount", pa.string()), ("currency", pa.string()),
        ("channel", pa.string()), ("country", pa.string()), ("description", pa.string()),
    ]
)  # fmt: skip

_CARD = ("TESCO STORES 2041", "SAINSBURYS S/MKT", "TFL TRAVEL CH", "AMZNMktplace", "GREGGS PLC, COVENTRY", "CAFÉ NERO", "SHELL M6",
         "PADDY POWER", "BOOTS 0190", "JUST EAT", 'THE "OLD" BELL', "NETFLIX.COM", "1E5 GYM", "NA", "O2 SHOP")  # fmt: skip
_BILLS = (
    "COUNCIL TAX",
    "BRITISH GAS",
    "SEVERN TRENT WATER",
    "TV LICENCE MBP",
    "SKY DIGITAL",
    "AVIVA INSURANCE",
    "EE LIMITED",
    "THAMES £ SAVER",
)
_WORDS = (
    "rent",
    "thanks!",
    "for dinner, Sat",
    "birthday 🎂",
    "deposit",
    "invoice 00190",
    "window cleaner",
    "split bill\nsee you",
    "kids' club",
    "loan",
)


@dataclass(frozen=True)
class Kind:
    """One kind of ordinary payment and its share of all."""

    share: float
    channel: str
    make: Callable[[np.random.Generator, Society, int], "Draft"]
    hours: tuple[float, float]  # mean and spread of the hour of day
    weekend: float  # how frequent at the weekend, against a working day


@dataclass(frozen=True)
class Draft:
    """What differs between kinds: account positions, signed amounts, counterparties."""

    account: Numbers
    amount: Numbers
    sort_code: Strings
    number: Strings
    description: Strings
    iban: Strings | None = None
    country: Strings | None = None
    currency: Strings | None = None


def _pick(rng: np.random.Generator, values: "tuple[str, ...] | Strings", n: int) -> Strings:
    array = np.asarray(values)
    return array[rng.integers(0, len(array), n)]


def _customers(rng: np.random.Generator, society: Society, n: int) -> Numbers:
    return rng.choice(len(society.weights), n, p=society.weights)


def _pounds(rng: np.random.Generator, n: int, median: float, spread: float) -> Numbers:
    return np.maximum(np.rint(rng.lognormal(np.log(median * 100), spread, n)), 1).astype(np.int64)


def _outside(rng: np.random.Generator, society: Society, n: int, most: int | None = None) -> tuple[Strings, Strings]:
    """Counterparties at other banks; few of them are frequent."""
    known = min(most or len(society.outside_numbers), len(society.outside_numbers))
    at = np.minimum(rng.zipf(1.3, n) - 1, rng.integers(0, known, n))
    return society.outside_sort_codes[at], society.outside_numbers[at]


def _none(n: int) -> Strings:
    return np.full(n, "")


def _cards(rng: np.random.Generator, society: Society, n: int) -> Draft:
    country = _pick(rng, ("GB",) * 40 + ("IE", "FR", "ES", "US", "NA"), n)
    return Draft(_customers(rng, society, n), -_pounds(rng, n, 14, 1.0), _none(n), _none(n), _pick(rng, _CARD, n), country=country)


def _direct_debits(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n, 40)
    return Draft(_customers(rng, society, n), -_pounds(rng, n, 38, 0.7), sort_code, number, _pick(rng, _BILLS, n))


def _salaries(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n, 120)
    return Draft(
        _pick_at(rng, society.current, n), _pounds(rng, n, 1_900, 0.45), sort_code, number, _pick(rng, ("SALARY", "WAGES WK 23"), n)
    )


def _pick_at(rng: np.random.Generator, positions: Numbers, n: int) -> Numbers:
    return positions[rng.integers(0, len(positions), n)]


def _faster_out(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n)
    return Draft(_customers(rng, society, n), -_pounds(rng, n, 60, 1.2), sort_code, number, _pick(rng, _WORDS, n))


def _faster_in(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n)
    return Draft(_customers(rng, society, n), _pounds(rng, n, 75, 1.2), sort_code, number, _pick(rng, _WORDS, n))


def _standing_orders(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n, 600)
    return Draft(
        _pick_at(rng, society.current, n), -rng.integers(1, 40, n) * 2_500, sort_code, number, _pick(rng, ("RENT", "SAVER", "NURSERY"), n)
    )


def _business(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n)
    sign = rng.choice([-1, 1], n)
    return Draft(
        _pick_at(rng, society.business, n),
        sign * _pounds(rng, n, 420, 1.1),
        sort_code,
        number,
        _pick(rng, ("INV 20931", "SUPPLIES", "VAT"), n),
    )


def _cash_machine(rng: np.random.Generator, society: Society, n: int) -> Draft:
    amount = -rng.choice([1_000, 2_000, 3_000, 5_000, 10_000, 20_000], n, p=[0.2, 0.3, 0.15, 0.2, 0.1, 0.05])
    return Draft(_customers(rng, society, n), amount, _none(n), _none(n), _pick(rng, ("LINK COVENTRY", "ATM HIGH ST"), n))


def _counter_cash(rng: np.random.Generator, society: Society, n: int) -> Draft:
    amount = rng.integers(1, 60, n) * 1_000 * rng.choice([-1, 1, 1], n)
    return Draft(_customers(rng, society, n), amount, _none(n), _none(n), _pick(rng, ("COUNTER", "BRANCH 04"), n))


def _cheques(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n)
    return Draft(
        _customers(rng, society, n), _pounds(rng, n, 150, 0.9) * rng.choice([-1, 1], n), sort_code, number, _pick(rng, ("CHQ 000190",), n)
    )


def _houses(rng: np.random.Generator, society: Society, n: int) -> Draft:
    sort_code, number = _outside(rng, society, n)
    return Draft(
        _pick_at(rng, society.current, n), -rng.integers(800, 6_500, n) * 10_000, sort_code, number, _pick(rng, ("COMPLETION MONIES",), n)
    )


def _internal(rng: np.random.Generator, society: Society, n: int) -> Draft:
    """Between a customer's own accounts, both legs: the second half of the rows mirrors the first."""
    half = n // 2
    saving = _pick_at(rng, society.savings, half)
    own = society.current[saving % len(society.current)]
    amount = rng.integers(1, 80, half) * 1_000 * rng.choice([-1, 1], half)
    account, other = np.concatenate([own, saving]), np.concatenate([saving, own])
    return Draft(
        account, np.concatenate([amount, -amount]), society.sort_codes[other], society.numbers[other], _pick(rng, ("TRANSFER",), 2 * half)
    )


def _abroad(currencies: tuple[str, ...]) -> Callable[[np.random.Generator, Society, int], Draft]:
    def make(rng: np.random.Generator, society: Society, n: int) -> Draft:
        at = rng.integers(0, len(society.ibans), n)
        amount = -_pounds(rng, n, 240, 1.0)
        words = _pick(rng, ("Ferienhaus", "FACTURE 1E5", "família"), n)
        currency = _pick(rng, currencies, n)
        return Draft(
            _customers(rng, society, n), amount, _none(n), _none(n), words, society.ibans[at], society.iban_countries[at], currency
        )

    return make


KINDS = (
    Kind(0.46, "CARD", _cards, (14, 4.5), 1.3),
    Kind(0.14, "BACS", _direct_debits, (5.5, 0.8), 0.0),
    Kind(0.05, "BACS", _salaries, (6.5, 0.6), 0.0),
    Kind(0.11, "FPS", _faster_out, (15, 4.0), 0.9),
    Kind(0.06, "FPS", _faster_in, (14, 4.0), 0.9),
    Kind(0.04, "FPS", _standing_orders, (6, 0.5), 0.0),
    Kind(0.04, "FPS", _business, (12, 2.5), 0.2),
    Kind(0.045, "ATM", _cash_machine, (15, 4.5), 1.2),
    Kind(0.01, "CASH", _counter_cash, (12, 2.0), 0.3),
    Kind(0.008, "CHEQUE", _cheques, (11, 2.0), 0.0),
    Kind(0.002, "CHAPS", _houses, (12, 1.5), 0.0),
    Kind(0.02, "INTERNAL", _internal, (17, 4.0), 1.0),
    Kind(0.01, "SEPA", _abroad(("EUR",)), (13, 3.0), 0.3),
    Kind(0.005, "SWIFT", _abroad(("EUR", "JPY", "KWD")), (13, 3.0), 0.3),
)


def ordinary(rng: np.random.Generator, society: Society, rows: int, first_day: date, days: int) -> pa.Table:
    """About ``rows`` payments over the days, without ids, in no order."""
    return pa.concat_tables([_payments(rng, society, kind, round(rows * kind.share), first_day, days) for kind in KINDS])


def _payments(rng: np.random.Generator, society: Society, kind: Kind, n: int, first_day: date, days: int) -> pa.Table:
    draft = kind.make(rng, society, n)
    n = len(draft.account)
    booked = _times(rng, kind, n, first_day, days)
    if kind.channel == "INTERNAL":
        booked[n // 2 :] = booked[: n // 2]
    columns = {
        "transaction_id": pa.nulls(n, pa.string()), "booked": booked, "timestamp": pa.nulls(n, pa.string()),
        "sort_code": society.sort_codes[draft.account], "account_number": society.numbers[draft.account],
        "counterparty_sort_code": draft.sort_code, "counterparty_account": draft.number,
        "counterparty_iban": _none(n) if draft.iban is None else draft.iban, "amount_minor": draft.amount,
        "amount": pa.nulls(n, pa.string()), "currency": np.full(n, "GBP") if draft.currency is None else draft.currency,
        "channel": np.full(n, kind.channel),
        "country": np.full(n, "GB") if draft.country is None else draft.country, "description": draft.description,
    }  # fmt: skip
    return pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA)


def _times(rng: np.random.Generator, kind: Kind, n: int, first_day: date, days: int) -> npt.NDArray[np.int64]:
    weekday = (first_day.weekday() + np.arange(days)) % 7
    weight = np.where(weekday >= 5, kind.weekend, 1.0)
    weight = weight / weight.sum() if weight.sum() else np.full(days, 1 / days)
    day = rng.choice(days, n, p=weight)
    hour = rng.normal(kind.hours[0], kind.hours[1], n) % 24
    start = np.int64((first_day - date(1970, 1, 1)).days) * DAY
    return np.asarray(start + day * DAY + (hour * HOUR).astype(np.int64), dtype=np.int64)
