"""The sample bank, written to a folder."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import UsageError
from pipelines.sample import accounts, defects, files, payments, truth, typologies
from pipelines.sample.draft import ACCEPTED, DUPLICATE, QUARANTINED, Draft, Finished

_ENDINGS = (".csv", ".parquet", ".ndjson", ".csv.gz", ".ndjson.zst")
_DEFECTIVE = 0.003  # share of records
_REPEATED = 0.001
_PLAIN = {
    "sort_code": "990101", "account_number": "00012357", "counterparty_sort_code": "995001", "counterparty_account": "00067893",
    "counterparty_iban": "", "amount_minor": 1234, "amount": None, "currency": "GBP",
    "channel": "FPS", "country": "GB", "description": "plain",
}  # fmt: skip
_MOST_INSTANCES = 30


@dataclass(frozen=True)
class Written:
    """What was written: the landing files, and how many records they hold."""

    paths: tuple[Path, ...]
    records: int


def write(folder: Path, rows: int = 200_000, seed: int = 7, days: int = 7, first_day: date = date(2026, 6, 1)) -> Written:
    """Write about ``rows`` records of ``days`` days as landing files, two a day, with ``ground_truth/`` beside them.

    The accounts fit the synthetic weight table, which lies in ``ground_truth/modulus``: two of the planted defects show only in a lake
    that has it.

    The same arguments give the same bytes. Timestamps in ``branch-*.csv`` have no zone: they are Europe/London's, which a run must be told.
    Raises UsageError when the typologies do not fit into the days.
    """
    if days < typologies.LEAST_DAYS:
        raise UsageError(f"{days} days: the planted typologies need at least {typologies.LEAST_DAYS}")
    seeds = [np.random.default_rng(seed) for seed in np.random.SeedSequence(seed).spawn(6)]
    society = accounts.society(seeds[0], rows)
    instances = min(max(rows // 50_000, 2), _MOST_INSTANCES)
    plants, members = typologies.plant(seeds[1], society, first_day, days, instances)
    everyday = _identified(payments.ordinary(seeds[2], society, rows, first_day, days))
    drafts = _drafts(pa.concat_tables([everyday, plants]).sort_by("booked"), first_day, days)
    _plant_defects(seeds[3], drafts, rows)
    _plant_repeats(seeds[4], drafts)
    warnings = _plant_warnings(seeds[5], drafts, rows)
    finished = [draft.finish() for draft in [_branch(first_day), *drafts]]
    folder.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(finished):
        (folder / file.name).write_bytes(_bytes(file, index))
    truth.write(folder / "ground_truth", finished, members, warnings)
    truth.write_modulus_table(folder / "ground_truth" / "modulus")
    return Written(tuple(folder / file.name for file in finished), sum(file.records for file in finished))


def _identified(table: pa.Table) -> pa.Table:
    number = pc.utf8_lpad(pa.array(np.arange(table.num_rows)).cast(pa.string()), 9, "0")
    return table.set_column(0, "transaction_id", pc.binary_join_element_wise("T", number, "-"))


def _drafts(table: pa.Table, first_day: date, days: int) -> list[Draft]:
    day = table["booked"].to_numpy() // payments.DAY - (first_day - date(1970, 1, 1)).days
    drafts = []
    for d in range(days):
        begin, end = np.searchsorted(day, [d, d + 1]).tolist()
        middle = (begin + end) // 2
        for part, (b, e) in enumerate(((begin, middle), (middle, end))):
            name = f"payments-{first_day + timedelta(days=d)}-{'ab'[part]}{_ENDINGS[(2 * d + part) % len(_ENDINGS)]}"
            drafts.append(Draft(name, table.slice(b, e - b)))
    return drafts


def _plain(identifier: str, booked: int, changes: "dict[str, str]") -> dict[str, object]:
    return {"transaction_id": identifier, "booked": booked, "timestamp": None} | _PLAIN | changes


def _plant_defects(rng: np.random.Generator, drafts: list[Draft], rows: int) -> None:
    rounds = max(1, round(rows * _DEFECTIVE / len(defects.FIELD_DEFECTS)))
    number = 0
    for _ in range(rounds):
        for reason, changes in defects.FIELD_DEFECTS.items():
            draft, at = _somewhere(rng, drafts)
            booked = int(draft.payments["booked"][at].as_py())
            draft.extras.append((at, _plain(f"D{number:07d}", booked, dict(changes)), QUARANTINED, (reason,)))
            number += 1
    for ending, kinds in ((".csv", defects.CSV_DEFECTS), (".ndjson", defects.NDJSON_DEFECTS)):
        fitting = [draft for draft in drafts if ending in draft.name]
        for _ in range(max(1, rounds // 3)):
            for kind in kinds:
                draft, at = _somewhere(rng, fitting)
                record = {key: str(value) for key, value in _PLAIN.items() if key not in {"amount_minor", "amount"}}
                record |= {"transaction_id": f"R{number:07d}", "timestamp": "2026-06-01T10:00:00Z", "amount": "12.34"}
                draft.raw.append((at, kind.make(record), kind.reason))
                number += 1


def _plant_warnings(rng: np.random.Generator, drafts: list[Draft], rows: int) -> list[tuple[str, str]]:
    """Payments that are accepted with a warning: the transaction id and the reason of each."""
    planted: list[tuple[str, str]] = []
    for number in range(max(1, round(rows * _DEFECTIVE / len(defects.FIELD_DEFECTS)))):
        for reason, changes in defects.WARNINGS.items():
            draft, at = _somewhere(rng, drafts)
            identifier = f"W{number:04d}{len(planted):04d}"
            row = _plain(identifier, int(draft.payments["booked"][at].as_py()), dict(changes))
            row["amount_minor"] = int(str(row["amount_minor"]))
            draft.extras.append((at, row, ACCEPTED, ()))
            planted.append((identifier, reason))
    return planted


def _somewhere(rng: np.random.Generator, drafts: list[Draft]) -> tuple[Draft, int]:
    draft = drafts[int(rng.integers(0, len(drafts)))]
    return draft, int(rng.integers(0, draft.payments.num_rows))


def _plant_repeats(rng: np.random.Generator, drafts: list[Draft]) -> None:
    """Records that come again: in the same file, in a later one of another format, and with another amount."""
    for index, draft in enumerate(drafts):
        count = draft.payments.num_rows
        for i in range(max(3, round(count * _REPEATED))):
            at = int(rng.integers(0, count))
            later = draft if i % 2 == 0 or index == len(drafts) - 1 else drafts[int(rng.integers(index + 1, len(drafts)))]
            behind = int(rng.integers(at if later is draft else 0, later.payments.num_rows))
            row = draft.row(at)
            if i % 5 == 2:
                changed = row | {"amount_minor": int(str(row["amount_minor"])) + 100}
                later.extras.append((behind, changed, QUARANTINED, (defects.CONFLICT,)))
            else:
                later.extras.append((behind, row, DUPLICATE, ()))


def _branch(first_day: date) -> Draft:
    """A file whose timestamps have no zone."""
    start = (first_day - date(1970, 1, 1)).days * payments.DAY
    rows = [_plain(f"B{i:04d}", start, {"timestamp": f"{first_day}T{9 + i // 4:02d}:{15 * (i % 4):02d}:00"}) for i in range(24)]
    draft = Draft(f"branch-{first_day}.csv", pa.Table.from_pylist(rows, payments.SCHEMA))
    for i, (reason, changes) in enumerate(defects.BRANCH_DEFECTS.items()):
        draft.extras.append((10, _plain(f"BD{i:03d}", start, dict(changes)), QUARANTINED, (reason,)))
    return draft


def _is_summer_time(file: Finished) -> bool:
    first = datetime.fromtimestamp(int(file.payments["booked"][0].as_py()) / 1_000_000, UTC)
    return bool(first.astimezone(ZoneInfo("Europe/London")).dst())


def _bytes(file: Finished, index: int) -> bytes:
    rows = files.landing(file.payments, local_time=index % 3 == 1 and _is_summer_time(file), dashes=index % 4 == 2)
    raw = [(at, data) for at, data, _ in file.raw]
    if ".parquet" in file.name:
        return files.parquet_bytes(rows)
    return files.packed(files.csv_bytes(rows, raw) if ".csv" in file.name else files.ndjson_bytes(rows, raw), file.name)
