"""Alerts: what scenarios and models found, as rows of gold/alerts. What was raised once stays; more evidence is added to it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.access import Clearance
from app.contracts.lake import ALERTS, SCORES, SILVER
from app.detection import unusual
from app.detection.alert import Alert
from app.errors import LakeNotFound, UsageError
from app.features.outcomes import SUSPICIOUS
from app.lake import delta
from app.lake.delta import StagedFile
from app.lake.lake import Lake
from pipelines import gold
from pipelines.boundary import guard
from pipelines.labels import LabelFile
from pipelines.scores import Unusual
from pipelines.work import Run

Row = dict[str, Any]

_REASON: Final = f"{unusual.NAME}_payments"
_OF_SCORES: Final = ("score", "band", "sentences")
_OF_PAYMENTS: Final = (
    "booked_at",
    "transaction_id",
    "amount_minor",
    "currency",
    "channel",
    "country",
    "payer",
    "payee",
    "description",
    *_OF_SCORES,
)
EVIDENCE_REACHES: Final = timedelta(days=31)
"""No scenario looks at payments that lie further apart."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def of_scenarios(found: Iterable[tuple[str, Alert]]) -> list[Row]:
    """Rows of alerts that scenarios raised, each given with its scenario's name; one occasion is one crossing of the line."""
    rows = []
    for scenario, alert in found:
        fired_at = _EPOCH + timedelta(microseconds=alert.fired_at)
        row = _row(scenario, alert.reason, alert.account, alert.fired_by, fired_at, list(alert.evidence))
        rows.append(row | {"sentence": alert.sentence, "fired_by": alert.fired_by, "score": None})
    return rows


def of_models(found: Iterable[Unusual]) -> list[Row]:
    """Rows of alerts on unusual payments: one an account and UTC day, however many there are."""
    of_day: dict[tuple[str, date], list[Unusual]] = {}
    for one in found:
        of_day.setdefault((one.account, one.booked_at.date()), []).append(one)
    rows = []
    for (account, day), payments in of_day.items():
        payments.sort(key=lambda one: (one.booked_at, one.transaction_id.encode()))
        first, worst = payments[0], max(payments, key=lambda one: one.score)
        row = _row(unusual.NAME, _REASON, account, day.isoformat(), first.booked_at, [one.transaction_id for one in payments])
        rows.append(row | {"sentence": " ".join(worst.sentences), "fired_by": first.transaction_id, "score": worst.score})
    return rows


def _row(scenario: str, reason: str, account: str, occasion: str, fired_at: datetime, evidence: list[str]) -> Row:
    digest = hashlib.sha256("\n".join((reason, account, occasion)).encode()).hexdigest()[:32]
    known = {"alert_id": digest, "scenario": scenario, "reason": reason, "account": account}
    return known | {"fired_at": fired_at, "fired_date": fired_at.date(), "evidence": evidence}


def stage(run: Run, found: Sequence[Row]) -> tuple[list[StagedFile], list[str], Counter[str]]:
    """Put alerts beside those of the same days: the staged files, the files that they replace, and how many of each scenario are new."""
    table = run.lake.table(ALERTS)
    days = sorted({row["fired_date"] for row in found})
    old = gold.files_of(table, "fired_date", [day.isoformat() for day in days])
    staged, removed = [], []
    raised: Counter[str] = Counter()
    for number, day in enumerate(days):
        before = _of_day(table.to_pyarrow_dataset(), day) if old[day.isoformat()] else {}
        merged, new = _merged(run, before, [row for row in found if row["fired_date"] == day])
        if merged == before:
            continue
        rows = pa.Table.from_pylist(sorted(merged.values(), key=lambda row: (row["fired_at"], row["alert_id"])), ALERTS.schema)
        name, partition = f"part-{run.run_id}-{number:05d}", {"fired_date": day.isoformat()}
        staged.append(delta.stage(run.lake.storage, ALERTS, name, guard(ALERTS, rows), partition, run.started_at))
        removed += old[day.isoformat()]
        raised.update(new)
    return staged, removed, raised


def _of_day(dataset: Any, day: date) -> dict[str, Row]:
    rows = dataset.to_table(filter=pc.field("fired_date") == day).select(ALERTS.schema.names).to_pylist()
    return {row["alert_id"]: row for row in rows}


def _merged(run: Run, before: Mapping[str, Row], found: Sequence[Row]) -> tuple[dict[str, Row], Counter[str]]:
    merged, new = dict(before), Counter[str]()
    for row in found:
        known = merged.get(row["alert_id"])
        if known is None:
            merged[row["alert_id"]] = row | {"raised_by": run.run_id, "raised_at": run.started_at, "run_id": run.run_id}
            new[row["scenario"]] += 1
        elif not set(row["evidence"]) <= set(known["evidence"]):
            merged[row["alert_id"]] = _joined(run, known, row)
    return merged, new


def _joined(run: Run, known: Row, row: Row) -> Row:
    """An alert with more evidence; it says what the stronger of the two said."""
    evidence = [*known["evidence"], *(one for one in row["evidence"] if one not in set(known["evidence"]))]
    stronger = row if row["score"] is None or row["score"] >= known["score"] else known
    return known | {"evidence": evidence, "sentence": stronger["sentence"], "score": stronger["score"], "run_id": run.run_id}


def listed(lake: Lake, since: date | None, scenario: str | None, account: str | None, clearance: Clearance) -> list[Row]:
    """Alerts, the newest first, as they may be seen; they are chosen by what is seen, too: an account by its token."""
    rows = clearance.of(_alerts(lake), ALERTS)
    for name, value in (("scenario", scenario), ("account", account)):
        if value is not None:
            rows = rows.filter(pc.equal(rows[name], value))
    if since is not None:
        rows = rows.filter(pc.greater_equal(rows["fired_date"], since))
    return list(rows.sort_by([("fired_at", "descending"), ("alert_id", "ascending")]).to_pylist())


def _alerts(lake: Lake) -> pa.Table:
    return lake.table(ALERTS).to_pyarrow_dataset().to_table()


def shown(lake: Lake, alert_id: str, clearance: Clearance) -> Row:
    """One alert, and its payments as the lake has them and they may be seen; a beginning of its id is enough."""
    alerts = _alerts(lake)
    alerts = alerts.filter(pc.starts_with(alerts["alert_id"], alert_id))
    if not alerts.num_rows:
        raise LakeNotFound(f"the lake has no alert {alert_id}; `leofric alerts list` names those that it has")
    if alerts.num_rows > 1:
        raise UsageError(f"{alert_id} is the beginning of {alerts.num_rows} alerts' ids; give more of it")
    fired, evidence = (alerts[name][0].as_py() for name in ("fired_date", "evidence"))
    near = (pc.field("booking_date") >= fired - EVIDENCE_REACHES) & (pc.field("booking_date") <= fired + timedelta(days=1))
    chosen = near & pc.field("transaction_id").isin(pa.array(evidence, pa.string()))
    names = [name for name in _OF_PAYMENTS if name not in _OF_SCORES]
    silver = lake.table(SILVER).to_pyarrow_dataset().to_table(columns=names, filter=chosen)
    scored = lake.table(SCORES).to_pyarrow_dataset().to_table(columns=["transaction_id", *_OF_SCORES], filter=chosen)
    silver = silver.sort_by([("booked_at", "ascending"), ("transaction_id", "ascending")])
    # Side by side before ids are masked: whoever may not see them sees the payments all the same.
    scores = scored.take(pc.index_in(silver["transaction_id"], scored["transaction_id"])).select(_OF_SCORES)
    payments, said = clearance.of(silver, SILVER).to_pylist(), clearance.of(scores, SCORES).to_pylist()
    (alert,) = clearance.of(alerts, ALERTS).to_pylist()
    return dict(alert) | {"payments": [payment | score for payment, score in zip(payments, said, strict=True)]}


def compared(lake: Lake, labels: LabelFile) -> dict[str, list[Row]]:
    """Alerts against labels: what of each typology is evidence of an alert, and how many alerts of each scenario are right."""
    silver = lake.table(SILVER).to_pyarrow_dataset().to_table(columns=["transaction_id"])
    found, typologies = labels.of(silver["transaction_id"])
    suspicious = found == SUSPICIOUS
    typology = dict(zip(silver["transaction_id"].filter(pa.array(suspicious)).to_pylist(), typologies[suspicious].tolist(), strict=True))
    rows = _alerts(lake).to_pylist()
    evidence: dict[str, set[str]] = {}
    for row in rows:
        evidence.setdefault(row["scenario"], set()).update(row["evidence"])
    return {"typologies": _by_typology(typology, evidence), "scenarios": _by_scenario(typology, rows)}


def _by_typology(typology: Mapping[str, str], evidence: Mapping[str, set[str]]) -> list[Row]:
    found = []
    for name, planted in sorted(Counter(typology.values()).items()):
        ids = {one for one, kind in typology.items() if kind == name}
        scenarios = Counter({scenario: len(ids & of) for scenario, of in evidence.items()})
        named = ", ".join(f"{scenario} {count}" for scenario, count in scenarios.most_common() if count)
        alerted = len(ids & set().union(*evidence.values()))
        found.append({"typology": name or "unnamed", "payments": planted, "in an alert": alerted, "by": named})
    return found


def _by_scenario(typology: Mapping[str, str], rows: Sequence[Row]) -> list[Row]:
    alerts, right = Counter(row["scenario"] for row in rows), Counter[str]()
    right.update(row["scenario"] for row in rows if any(one in typology for one in row["evidence"]))
    return [{"scenario": name, "alerts": count, "with a suspicious payment": right[name]} for name, count in sorted(alerts.items())]
