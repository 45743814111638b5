"""A lake with a past that detectors can learn from, and the labels of its payments."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tests.support.lake import load
from tests.support.landing import record, write_csv

DAYS, EACH = 200, 12


def make_past(folder: Path) -> Path:
    """200 days of payments between a few accounts; one in fifty is ten thousand pounds to an account that was never paid."""
    rng = np.random.default_rng(2)
    rows, labels = [], ["transaction_id,is_suspicious,typology"]
    for number in range(DAYS * EACH):
        strange = rng.random() < 0.02
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number // EACH, seconds=int(rng.integers(86_400)))
        other = 30_000_000 + (number if strange else int(rng.integers(20)))
        amount = f"-{10_000 if strange else 20 + rng.integers(30)}.00"
        rows.append(record(number, timestamp=at.isoformat(), amount=amount, counterparty_account=f"{other:08d}", channel="CHAPS"))
        labels.append(f"T{number:06d},{int(strange)},{'drain' if strange else ''}")
    write_csv(folder / "landing/a.csv", rows)
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    assert load(folder / "landing", folder / "lake")["totals"]["accepted"] == len(rows)
    return folder
