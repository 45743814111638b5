"""The evidence of a period, all read from a lake: what ran, what was decided, who was refused, and what frameworks ask of it.

It counts, and points: nobody's name, account or payment is in it, and no free text; an auditor looks entries of the audit trail up by
their number. Sections are rows of plain values.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.audit import Checker
from app.compliance.requirements import EVIDENCE, framework_map
from app.contracts import landing
from app.contracts.lake import ALERTS, DATA_QUALITY_DAILY, DRIFT_DAILY, FEEDBACK, QUARANTINE, QUARANTINE_DAILY
from app.contracts.table import TableContract
from app.errors import UsageError
from app.features import feature_set
from app.lake import registry, rollouts
from app.lake.audit import AuditLog
from app.lake.lake import Lake, has
from pipelines import compliance_acts, compliance_runs
from pipelines.compliance_runs import Certified
from pipelines.reference import listed

FORMAT: Final = 1

Section = dict[str, Any]

_LOOK, _ACT = 0.1, 0.25  # the population stability index, as gold/drift_daily has it


@dataclass(frozen=True)
class Period:
    """Days in UTC, both included."""

    first: date
    last: date

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The instant after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)

    def has(self, instant: datetime | str) -> bool:
        """Whether an instant, or its ISO text, lies in the period."""
        at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        return self.begin <= at < self.end


def period_of(first: date, last: date, today: date) -> Period:
    """A period that can be reported on; UsageError if it ends before it begins, or has days that have not begun."""
    if last < first:
        raise UsageError(f"the period ends on {last}, before it begins on {first}; exchange --from and --to")
    if last > today:
        raise UsageError(f"the period ends on {last}, and today is {today}: of days to come there is no evidence; name an earlier --to")
    return Period(first, last)


def evidence(
    lake: Lake, log: AuditLog, keys: Mapping[str, Checker], period: Period, now: datetime, signed_by: str | None
) -> dict[str, Any]:
    """The report of a period, which the key ``signed_by`` is to sign, if any is; UsageError if it ended before the lake's first run."""
    certified = compliance_runs.certified(lake)
    if not certified or certified[0].started_at >= period.end:
        since = f"its first run began on {certified[0].started_at.date()}" if certified else "it has no run yet"
        raise UsageError(f"the lake at {lake.storage.root} has nothing of the time up to {period.last}: {since}")
    sections: dict[str, Section] = {
        "runs": compliance_runs.runs_of(lake, certified, period.has),
        "chain": compliance_runs.chain(certified, period.begin, period.end),
    }
    trail, entries = compliance_acts.trail(lake, log, keys, period.has)
    sections |= {
        "trail": trail,
        "four_eyes": compliance_acts.four_eyes(lake, entries, period.has),
        "keys": compliance_acts.keys(lake, period.begin, period.end),
    }
    sections["runs"]["failed_without_certificate"] = compliance_acts.failed_runs(entries, {one.run_id for one in certified})
    sections |= _of_tables(lake, period) | {"versions": _versions(certified, period)}
    return {
        "format": FORMAT,
        "made_at": now.isoformat(timespec="seconds"),
        "made_by_version": version("leofric"),
        "signed_by": signed_by,
        "period": {"from": period.first.isoformat(), "to": period.last.isoformat(), "has_ended": now >= period.end},
        "sections": {name: sections[name] for name in EVIDENCE},
        "frameworks": [asdict(one) for one in framework_map().frameworks],
        "requirements": [one.document() for one in framework_map().requirements],
    }


def _of_tables(lake: Lake, period: Period) -> dict[str, Section]:
    return {
        "quarantine": _quarantine(lake, period),
        "quality": {"days": _days(lake, DATA_QUALITY_DAILY, "ingest_date", period, ("dimension", "numerator", "denominator", "ratio"))},
        "models": _models(lake, period),
        "alerts": {"raised": _counted(_rows(lake, ALERTS, "raised_at", period, ["scenario"]), ("scenario",), "alerts")},
        "feedback": {"decided": _counted(_rows(lake, FEEDBACK, "imported_at", period, ["is_suspicious"]), ("is_suspicious",), "payments")},
        "drift": _drift(lake, period),
        "reference": _reference(lake, period),
    }


def _rows(lake: Lake, contract: TableContract, at: str, period: Period, columns: list[str]) -> list[dict[str, Any]]:
    """The rows whose instant lies in the period; none of a table that the lake was never given."""
    if not has(lake, contract):
        return []
    instant = pa.timestamp("us", tz="UTC")
    held = (pc.field(at) >= pa.scalar(period.begin, instant)) & (pc.field(at) < pa.scalar(period.end, instant))
    return list(lake.table(contract).to_pyarrow_dataset().to_table(columns=columns, filter=held).to_pylist())


def _of_days(lake: Lake, contract: TableContract, day: str, first: date, last: date) -> list[dict[str, Any]]:
    """The rows of the days from ``first`` to ``last``, both included."""
    if not has(lake, contract):
        return []
    held = (pc.field(day) >= pa.scalar(first, pa.date32())) & (pc.field(day) <= pa.scalar(last, pa.date32()))
    return list(lake.table(contract).to_pyarrow_dataset().to_table(filter=held).to_pylist())


def _days(lake: Lake, contract: TableContract, day: str, period: Period, columns: Sequence[str]) -> list[dict[str, Any]]:
    rows = _of_days(lake, contract, day, period.first, period.last)
    listed_rows = [{"day": row[day].isoformat()} | {name: row[name] for name in columns} for row in rows]
    return sorted(listed_rows, key=lambda row: tuple(str(row[name]) for name in ("day", columns[0])))


def _counted(rows: Sequence[Mapping[str, Any]], by: Sequence[str], what: str) -> list[dict[str, Any]]:
    """How many rows there are of each kind."""
    counts = Counter(tuple(row[name] for name in by) for row in rows)
    return [dict(zip(by, kind, strict=True)) | {what: count} for kind, count in sorted(counts.items(), key=lambda pair: str(pair[0]))]


def _quarantine(lake: Lake, period: Period) -> Section:
    """What came into quarantine, and what stood there when the period's last load or replay had ended."""
    came = _rows(lake, QUARANTINE, "ingested_at", period, ["reasons", "amount_minor", "currency"])
    by_reason = Counter(reason for row in came for reason in row["reasons"])
    money: dict[str, list[int]] = {}
    for row in came:
        money.setdefault(row["currency"] or "", []).append(row["amount_minor"] or 0)
    daily = _of_days(lake, QUARANTINE_DAILY, "as_of_date", date.min, period.last)
    newest = max((row["as_of_date"] for row in daily), default=None)
    names = ("state", "age", "currency", "records", "amount_minor")
    stood = [{name: row[name] for name in names} for row in daily if row["as_of_date"] == newest and row["reason"] is None]
    return {
        "came": len(came),
        "came_by_reason": [{"reason": reason, "records": count} for reason, count in sorted(by_reason.items())],
        "came_by_currency": [
            {"currency": code or None, "records": len(amounts), "amount_minor": sum(amounts) if code else None}
            for code, amounts in sorted(money.items())
        ],
        "stood_as_of": None if newest is None else newest.isoformat(),
        "stood": sorted(stood, key=lambda row: [str(value) for value in row.values()]),
    }


def _models(lake: Lake, period: Period) -> Section:
    decided = registry.decisions(lake.storage)
    tried = rollouts.past(lake.storage)
    made = registry.cards(lake.storage)
    at_end = registry.champions([one for one in decided if datetime.fromisoformat(one.at) < period.end])
    names = ("number", "at", "kind", "action", "champion", "before")
    of_rollout = ("number", "at", "kind", "model_id", "mode", "share")
    return {
        "trained": [
            {"model_id": one.model_id, "kind": one.kind, "created_at": one.created_at, "sha256": one.sha256, "signed": bool(one.signature)}
            for one in made
            if period.has(one.created_at)
        ],
        "decided": [{name: getattr(one, name) for name in names} for one in decided if period.has(one.at)],
        "rollouts": [{name: getattr(one, name) for name in of_rollout} for one in tried if period.has(one.at)],
        "in_use_at_end": [{"kind": kind, "model_id": model_id} for kind, model_id in sorted(at_end.items())],
    }


def _drift(lake: Lake, period: Period) -> Section:
    """Of each model and subject the days, the highest index, and on how many days one should have looked, or acted."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in _of_days(lake, DRIFT_DAILY, "booking_date", period.first, period.last):
        found.setdefault((row["model_id"], row["subject"]), []).append(row["psi"])
    return {
        "subjects": [
            {
                "model_id": model_id,
                "subject": subject,
                "days": len(values),
                "psi_highest": max(values),
                "days_over_0.1": sum(value > _LOOK for value in values),
                "days_over_0.25": sum(value > _ACT for value in values),
            }
            for (model_id, subject), values in sorted(found.items())
        ]
    }


def _reference(lake: Lake, period: Period) -> Section:
    names = ("kind", "version", "in_force_from", "loaded_at", "rows", "sha256", "in_force")
    tables = [row for row in listed(lake, period.last) if datetime.fromisoformat(str(row["loaded_at"])) < period.end]
    return {"tables": [{name: row[name] for name in names} for row in tables]}


def _versions(certified: Sequence[Certified], period: Period) -> Section:
    """What this version of Leofric goes by, and the tables as the period's last run left them."""
    last = [one for one in certified if one.started_at < period.end][-1]
    tables = last.document["tables"]
    return {
        "landing_contract": landing.VERSION,
        "features": feature_set.VERSION,
        "as_run_left_them": last.run_id,
        "tables": [{"table": path, "version": said["version"], "rows": said["rows"]} for path, said in sorted(tables.items())],
    }
