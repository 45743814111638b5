"""What some payments are, in numbers that must be the same wherever they lie: in silver, among the scores, in a certificate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app import fingerprints
from app.compliance.control_totals import Totals, of_rows

COLUMNS: Final = ("transaction_id", "currency", "amount_minor")
"""What is read of the payments, and the column that names the run that loaded them."""


@dataclass(frozen=True)
class Held:
    """How many payments, how much in each currency, and which: the sum of their ids' keyed fingerprints, modulo 2^64."""

    totals: Totals
    ids: int

    def __add__(self, other: "Held") -> "Held":
        return Held(self.totals + other.totals, (self.ids + other.ids) % 2**64)


NOTHING: Final = Held(Totals(), 0)


def held(rows: pa.Table, by: str, key: bytes) -> dict[str, Held]:
    """By the run in the column ``by``, what the rows are."""
    totals = of_rows(pa.table({"source_sha256": rows[by], "currency": rows["currency"], "amount_minor": rows["amount_minor"]}))
    ids = fingerprints.of_texts(rows["transaction_id"], key)
    return {run_id: Held(of, int(ids[pc.equal(rows[by], run_id).to_numpy()].sum(dtype=np.uint64))) for run_id, of in totals.items()}


def add(sums: dict[str, Held], more: Mapping[str, Held]) -> None:
    """Add up, run by run."""
    for run_id, one in more.items():
        sums[run_id] = sums.get(run_id, NOTHING) + one


def accepted(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """What a loading run's certificate says was accepted."""
    totals = certificate["totals"]
    amounts = {currency: sides["accepted"] for currency, sides in totals["amount_minor"].items()}
    return {"records": totals["accepted"], "amount_minor": amounts}


def differences(scored: Held, silver: Held, certified: Mapping[str, Any]) -> list[str]:
    """Sentences on where the scores of a run's payments differ from what silver holds of it, and from what was certified."""
    found = []
    if scored.totals.records != certified["records"]:
        found.append(f"{scored.totals.records} payments are scored, {certified['records']} were accepted")
    for currency in sorted({*scored.totals.amount_minor, *certified["amount_minor"]}):
        have, due = scored.totals.amount_minor.get(currency, 0), certified["amount_minor"].get(currency, 0)
        if have != due:
            found.append(f"{have} minor units of {currency} are scored, {due} were accepted")
    if scored != silver:
        found.append(f"the {scored.totals.records} payments that are scored are not the {silver.totals.records} that silver holds")
    return found
