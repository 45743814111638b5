"""What reviewers look at: a list of quarantined records with its totals, and one record with all that is known of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from app.compliance.corrections import UNDECIDED, Decision, Item, Standing, State, correction_of, seen, values_of
from app.contracts.landing import NAMES
from app.contracts.reasons import reason_of
from app.errors import UsageError
from app.lake.lake import Lake
from app.review import bulk, corrections, quarantine
from app.review.bulk import Bulk
from app.review.corrections import Chosen
from app.review.quarantine import AGES, OLDEST, Filter
from app.validation.fixes import RULES, rule_of


def listing(lake: Lake, wanted: Filter, now: datetime, offset: int, limit: int) -> dict[str, Any]:
    """The records that fit, the oldest first, from ``offset`` on and at most ``limit``; and the totals of all that fit."""
    rows, (found, _) = quarantine.records(lake), seen(corrections.decisions(lake))
    stand = quarantine.states(rows, found)
    fits = quarantine.chosen(rows, stand, wanted, now)
    rows = rows.append_column("age", quarantine.ages(rows, now))
    page = rows.take(pa.array(fits[offset : offset + limit])).to_pylist()
    return {
        "records": len(fits),
        "items": [_line(row, found.get(Item(row["source_sha256"], row["record_number"]), UNDECIDED)) for row in page],
        "by_reason": _by_reason(rows.take(pa.array(fits))),
        "by_age": _by_age(rows.take(pa.array(fits))["age"].to_pylist()),
    }


def _line(row: Mapping[str, Any], standing: Standing) -> dict[str, Any]:
    return {
        "item": str(Item(row["source_sha256"], row["record_number"])),
        "source": row["source_uri"],
        "reasons": row["reasons"],
        "transaction_id": row["transaction_id"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "state": standing.state.value,
        "age": row["age"],
        "quarantined_at": row["ingested_at"].isoformat(),
        "proposal": standing.proposal,
        "proposed_by": standing.proposed_by,
    }


def _by_reason(rows: pa.Table) -> list[dict[str, Any]]:
    """By reason, how many records and how much; a record with two reasons is in both."""
    counts, amounts = Counter[str](), dict[str, Counter[str]]()
    columns = (rows[name].to_pylist() for name in ("reasons", "amount_minor", "currency"))
    for reasons, amount, currency in zip(*columns, strict=True):
        counts.update(reasons)
        for reason in reasons:
            if currency is not None:
                amounts.setdefault(reason, Counter())[currency] += amount
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"reason": code, "records": count, "amount_minor": dict(sorted(amounts.get(code, {}).items()))} for code, count in ordered]


def _by_age(ages: Sequence[str]) -> dict[str, int]:
    counts = Counter(ages)
    return {name: counts[name] for name in (*(name for _, name in AGES), OLDEST) if counts[name]}


def shown(lake: Lake, text: str, now: datetime) -> dict[str, Any]:
    """All that is known of one record: as it came, why it was not accepted, what rules would mend it, and every decision."""
    rows = quarantine.records(lake)
    (item,) = quarantine.resolve(rows, [text])
    mine = (np.asarray(rows["record_number"]) == item.record_number) & (np.asarray(rows["source_sha256"]) == item.source_sha256)
    row = rows.filter(pa.array(mine))
    row = row.append_column("age", quarantine.ages(row, now))
    decided = corrections.opened(lake, [decision for decision in corrections.decisions(lake) if decision.item == item])
    standing = seen(decided)[0].get(item, UNDECIDED)
    texts = quarantine.originals(lake, row).select(NAMES).to_pylist()
    return _line(row.to_pylist()[0], standing) | {
        "source_sha256": item.source_sha256,
        "record_number": item.record_number,
        "raw": quarantine.raw_of(lake, item).decode(errors="backslashreplace"),
        "texts": texts[0] if texts else None,
        "reasons": [
            {"code": one.code, "sentence": one.sentence, "specification": one.specification}
            for one in map(reason_of, row["reasons"].to_pylist()[0])
        ],
        "rules": [rule.name for rule in RULES if bulk.found_by(lake, rule, row, now.date()).corrections],
        "correction": None if standing.correction is None else values_of(standing.correction),
        "decisions": [_decided(decision) for decision in decided],
    }


def _decided(decision: Decision) -> dict[str, Any]:
    said = {"number": decision.sequence, "act": decision.act.value, "who": decision.who, "why": decision.why}
    at = {"at": decision.decided_at.isoformat(), "proposal": decision.proposal, "rule": decision.rule, "run_id": decision.run_id}
    values = {} if decision.correction is None else {"correction": values_of(decision.correction)}
    return said | at | values | ({"reasons": list(decision.reasons)} if decision.reasons else {})


def corrections_of(lake: Lake, texts: Sequence[str], values: Mapping[str, str] | None) -> dict[Item, str | None]:
    """The same correction of each of these records; None: to leave them out for good. ReviewRefused if one cannot be corrected so."""
    rows = quarantine.records(lake)
    found = quarantine.resolve(rows, texts)
    if values is None:
        return dict.fromkeys(found, None)
    wanted = set(found)
    places = zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), rows["reasons"].to_pylist(), strict=True)
    reasons = {Item(sha256, number): codes for sha256, number, codes in places if (sha256, number) in wanted}
    return {item: correction_of(values, quarantine.is_unreadable(reasons[item])) for item in found}


def chosen_of(lake: Lake, texts: Sequence[str], proposal: int | None) -> Chosen:
    """What a decision is about: these records, or all of a proposal; UsageError if neither is named."""
    if not texts and proposal is None:
        raise UsageError("name records or a proposal")
    return Chosen(quarantine.resolve(quarantine.records(lake), texts) if texts else (), proposal)


def by_rule(lake: Lake, rule: str, reason: str | None, source: str | None, now: datetime) -> Bulk:
    """What a rule makes of all open records with this reason, of this source."""
    named, rows = rule_of(rule), quarantine.records(lake)
    states = quarantine.states(rows, seen(corrections.decisions(lake))[0])
    fits = quarantine.chosen(rows, states, Filter(reason, source, State.OPEN), now)
    return bulk.found_by(lake, named, rows.take(pa.array(fits)), now.date())
