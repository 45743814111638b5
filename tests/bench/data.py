"""Landing files for the benchmark: the same seed makes the same bytes, and what must come of them is known."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from app.contracts.landing import CHANNELS, NAMES
from app.reference.ibans import iban_structures
from tests.bench.work import Counts

VERSION = 1  # of this generator: files of another one are made anew
MONDAY = date(2026, 3, 2)
DAYS = 7
_SECONDS = 86_400
_WITH_IBAN = 0.25
_DEFECTIVE = 0.005
_COPIES = 0.002

_IBAN_COUNTRIES = ("DE", "ES", "FR", "GB", "IE", "NL")
_DIGITS = np.frombuffer(b"0123456789", dtype=np.uint8)
_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_ALPHABETS = {"n": _DIGITS, "a": _LETTERS, "c": np.concatenate([_DIGITS, _LETTERS])}
_CURRENCIES = ("GBP", "GBP", "GBP", "GBP", "GBP", "GBP", "GBP", "EUR", "USD", "JPY")
_COUNTRIES = ("GB", "GB", "GB", "GB", "GB", "IE", "DE", "FR", "NL", "US", "NA")
_PURPOSES = ("Card purchase", "Direct debit mandate", "Standing order", "Salary", "Faster payment to", "Invoice", "Rent for", "Gift")
_WHO = ("Thistledown Bakery Limited", "Harbour Street Motors", "J Okonkwo and Daughters", "Pennine Water Services", "A Whitfield")

Defect = Callable[[str], str]
DEFECTS: tuple[tuple[str, Defect], ...] = (
    ("transaction_id", lambda _: ""),
    ("timestamp", lambda text: text[:-1]),  # no zone
    ("timestamp", lambda text: f"{text[8:10]}/{text[5:7]}/{text[:4]} {text[11:16]}"),
    ("timestamp", lambda text: f"2026-02-30{text[10:]}"),
    ("sort_code", lambda text: text[:-1]),
    ("sort_code", lambda _: "000000"),
    ("account_number", lambda text: text[:-1] + "X"),
    ("account_number", lambda _: ""),
    ("counterparty_sort_code", lambda _: "12345"),
    ("counterparty_account", lambda _: "1234567"),
    ("counterparty_iban", lambda _: "GB28NWBK60161331926819"),  # its check digits are 29
    ("counterparty_iban", lambda _: "DE8937040044053201300"),  # too short
    ("counterparty_iban", lambda _: "US64SVBKUS6S3300958879"),  # has no IBANs
    ("amount", lambda _: "1.23456"),
    ("amount", lambda _: "1E5"),
    ("amount", lambda _: ""),
    ("currency", lambda _: "GBX"),
    ("currency", lambda _: "gbp"),
    ("channel", lambda _: "PIGEON"),
    ("country", lambda _: "UK"),
)


@dataclass(frozen=True)
class Landing:
    """A folder of landing files, and what must come of them."""

    folder: Path
    expected: Counts
    size: int  # bytes


def landing(parent: Path, rows: int, files: int) -> Landing:
    """The week's files below ``parent``; made unless they are there already."""
    folder = parent / f"landing-{rows}-{files}-v{VERSION}"
    done = folder / "_expected.json"  # written last
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        copies = 0
        before: pa.Table | None = None
        for number in range(files):
            share = rows * (number + 1) // files - rows * number // files
            table, before, copied = _with_copies(week(share, number), before, number)
            copies += copied
            write(folder / f"branch-{number:02d}.csv", table)
        defects = sum(_defects(rows * (n + 1) // files - rows * n // files) for n in range(files))
        done.write_text(json.dumps(asdict(Counts(rows, rows - defects - copies, defects, copies))))
    size = sum(path.stat().st_size for path in folder.glob("*.csv"))
    return Landing(folder, Counts(**json.loads(done.read_text())), size)
