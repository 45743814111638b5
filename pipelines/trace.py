"""One payment's way through the lake: where it came from, what was checked, where it lies, what was reckoned from it, who looked at it."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import (
    ACCOUNT_DAILY,
    ALERTS,
    BRONZE,
    CHANNEL_DAILY,
    CORRECTIONS,
    DATA_QUALITY_DAILY,
    DUPLICATES,
    FEEDBACK,
    QUARANTINE,
    SCORES,
    SHADOW_SCORES,
    SILVER,
)
from app.contracts.reasons import reason_of
from app.contracts.table import TableContract
from app.errors import LakeNotFound
from app.features import feature_set, outcomes, timeline
from app.features.payments import COLUMNS, payments
from app.features.vector import of_facts
from app.lake.lake import Lake
from app.sealing import as_text
from pipelines import kept
from pipelines.alerts import EVIDENCE_REACHES
from pipelines.feedback import read_feedback
from pipelines.found import Finder, equal, finder

Row = dict[str, Any]

ACCEPTED, QUARANTINED, DUPLICATE = "accepted", "quarantined", "duplicate"
_PLACES: Final = ((ACCEPTED, SILVER), (QUARANTINED, QUARANTINE), (DUPLICATE, DUPLICATES))
_SOURCE: Final = ("source_uri", "source_sha256", "record_number", "run_id", "ingested_at")
_OF_DECISIONS: Final = ("sequence", "act", "proposal", "correction", "rule", "reasons", "who", "why", "decided_at", "run_id")
_HORIZON: Final = timedelta(microseconds=timeline.HORIZON_US, days=1)


def trace(lake: Lake, transaction_id: str, journal: Path | None = None) -> dict[str, Any]:
    """Everything that the lake knows of a transaction; an id may have several ways, of duplicates and conflicts.

    ``journal`` is the service's journal, if its answers are wanted. LakeNotFound if the id is nowhere.
    """
    this = equal("transaction_id", transaction_id)
    with finder(lake) as find, ThreadPoolExecutor(1) as aside:
        rows = [(outcome, contract, row) for outcome, contract in _PLACES for row in find.rows(contract, this).to_pylist()]
        accepted = next((row for outcome, _, row in rows if outcome == ACCEPTED), None)
        features = None if accepted is None else aside.submit(_features, find.beside(), accepted)
        ways = [_way(find, outcome, contract, row) for outcome, contract, row in rows]
        answers = [] if journal is None else list(_answers(journal, transaction_id))
        if not ways and not answers:
            raise LakeNotFound(
                f"the lake has no transaction {transaction_id}: not in silver, quarantine or among duplicates; check its spelling"
            )
        day = None if accepted is None else accepted["booking_date"]
        made = {
            "scores": [] if day is None else find.rows(SCORES, this, (day, day)).to_pylist(),
            "shadow_scores": find.rows(SHADOW_SCORES, this).to_pylist(),
            "alerts": _alerts(find, transaction_id, day),
            "gold": _gold(find, accepted, {way["row"]["ingested_at"].date() for way in ways}),
            "feedback": find.rows(FEEDBACK, this).sort_by("sequence").to_pylist(),
            "answers": answers,
        }
        reckoned = None if features is None else features.result()
    return {"transaction_id": transaction_id, "ways": ways, "features": reckoned} | made


def _way(find: Finder, outcome: str, contract: TableContract, row: Row) -> dict[str, Any]:
    source = {name: row[name] for name in _SOURCE}
    bronze = _bronze(find, row)
    return {
        "outcome": outcome,
        "table": contract.path,
        "source": source | {"kept_file": f"bronze/files/{row['source_sha256']}", "record": _record(find.lake, row, bronze)},
        "bronze": bronze,
        "checks": _checks(row),
        "row": {name: value for name, value in row.items() if name not in ("raw_record", "reasons", "status")} | _state(row),
        "decisions": _decisions(find, row),
    }


def _record(lake: Lake, row: Row, bronze: Row | None) -> str:
    """The record as it came; of a sealed lake, which keeps no landing file, its texts as JSON, sealed as they are."""
    raw = row.get("raw_record")
    if raw is not None:
        return as_text(raw).decode(errors="backslashreplace")
    if lake.sealed is not None:
        return json.dumps(bronze, ensure_ascii=False)
    return kept.record(lake.storage, row["source_sha256"], row["source_uri"], row["record_number"]).decode(errors="backslashreplace")


def _decisions(find: Finder, row: Row) -> list[Row]:
    """What reviewers decided about the record, and what a replay made of it."""
    here = equal("record_number", row["record_number"]) & equal("source_sha256", row["source_sha256"])
    found = find.rows(CORRECTIONS, here).sort_by("sequence").to_pylist()
    return [{name: one[name] for name in _OF_DECISIONS} for one in found]


def _bronze(find: Finder, row: Row) -> Row | None:
    """The record as bronze has it; a record that could not be read is not there."""
    day = row["ingested_at"].date()
    here = equal("record_number", row["record_number"]) & equal("source_sha256", row["source_sha256"]) & equal("run_id", row["run_id"])
    found = find.rows(BRONZE, here, (day, day)).to_pylist()
    return {name: value for name, value in found[0].items() if name not in (*_SOURCE, "ingest_date")} if found else None


def _checks(row: Row) -> dict[str, Any]:
    """What was said of it: each reason with its sentence, and the modulus check of what was accepted."""
    reasons = [
        {"code": code, "sentence": reason_of(code).sentence, "specification": reason_of(code).specification}
        for code in row.get("reasons", ())
    ]
    return {"reasons": reasons} | {name: row[name] for name in ("account_check", "counterparty_check", "modulus_table") if name in row}


def _state(row: Row) -> Row:
    return {"status": row["status"]} if "status" in row else {}


def _features(find: Finder, row: Row) -> dict[str, Any]:
    """The features as scoring reckons them, from all payments of both accounts back to the horizon."""
    silver = _history(find, row)
    ordered, rows = payments(silver)
    ids = silver["transaction_id"].combine_chunks()
    wanted = np.flatnonzero(pc.equal(ids.take(pa.array(rows)), row["transaction_id"]).to_numpy(zero_copy_only=False))
    stands_for = ordered.stands_for[wanted]
    numbers = of_facts(ordered.booked_at[stands_for], ordered.amount[wanted], timeline.look_back(ordered, wanted))[0].tolist()
    decided = read_feedback(find.lake)
    labels = np.full(len(ids), outcomes.UNLABELLED, dtype=np.int8) if decided is None else decided.among(silver["transaction_id"])[0]
    told = outcomes.of_counts(outcomes.judged_before(ordered, labels[rows])[wanted])[0].tolist()
    return {
        "version": feature_set.VERSION,
        "leg_of": ids[int(rows[stands_for[0]])].as_py(),
        "values": dict(zip((*feature_set.NAMES, *outcomes.NAMES), [*numbers, *told], strict=True)),
    }


def _history(find: Finder, row: Row) -> pa.Table:
    """The payments of both accounts, each once.

    One scan an account and side: DuckDB holds an equality against a file's dictionary of accounts, and reads every row for an "or".
    """
    days = (row["booking_date"] - _HORIZON, row["booking_date"])
    sought = [(side, name) for side in ("payer", "payee") for name in sorted({row["payer"], row["payee"]} - {None})]
    parts = [find.rows(SILVER, equal(side, name), days, COLUMNS) for side, name in sought or [("transaction_id", row["transaction_id"])]]
    found = pa.concat_tables(parts).combine_chunks()
    first = np.unique(found["transaction_id"].combine_chunks().dictionary_encode().indices.to_numpy(), return_index=True)[1]
    return found.take(pa.array(first))


def _alerts(find: Finder, transaction_id: str, day: date | None) -> list[Row]:
    """The alerts that have it in evidence."""
    days = (None, None) if day is None else (day, day + EVIDENCE_REACHES)
    named = duckdb.FunctionExpression("list_contains", duckdb.ColumnExpression("evidence"), duckdb.ConstantExpression(transaction_id))
    return list(find.rows(ALERTS, named, days).sort_by("fired_at").to_pylist())


def _gold(find: Finder, row: Row | None, ingested: set[date]) -> dict[str, list[Row]]:
    """The figures that contain it."""
    found = {}
    if row is not None:
        day = (row["booking_date"], row["booking_date"])
        for contract, keys in ((ACCOUNT_DAILY, ("sort_code", "account_number", "currency")), (CHANNEL_DAILY, ("channel", "currency"))):
            condition = equal(keys[0], row[keys[0]])
            for key in keys[1:]:
                condition &= equal(key, row[key])
            found[contract.path] = find.rows(contract, condition, day).to_pylist()
    quality = [find.rows(DATA_QUALITY_DAILY, equal("ingest_date", one), (one, one)).to_pylist() for one in sorted(ingested)]
    return found | {DATA_QUALITY_DAILY.path: [figure for figures in quality for figure in figures]}


def _answers(journal: Path, transaction_id: str) -> Iterator[Row]:
    """What the service answered about it, oldest first; the service's journal has one JSON line an answer."""
    sought = json.dumps(transaction_id, ensure_ascii=False).encode()
    for path in sorted((journal / "decisions").glob("*.ndjson")):
        data = path.read_bytes()
        if sought not in data:
            continue
        for line in data[: data.rfind(b"\n") + 1].splitlines():
            if sought in line and (answer := json.loads(line)).get("transaction_id") == transaction_id:
                yield answer


def summary(document: Mapping[str, Any]) -> Iterator[str]:
    """The way in lines for people, with who ``looked_at`` it; every value may be a person's. What a terminal would obey is spelt out."""
    for line in _lines(document):
        text = line.removeprefix("\n")
        yield line[: len(line) - len(text)] + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"transaction {document['transaction_id']}"
    for way in document["ways"]:
        source, checks, row = way["source"], way["checks"], way["row"]
        yield f"\n{way['outcome']} ({way['table']}) by run {source['run_id']} at {source['ingested_at']:%Y-%m-%d %H:%M:%S} UTC"
        yield f"  source    {source['source_uri']}, record {source['record_number']}"
        yield f"            SHA-256 {source['source_sha256']}, kept as {source['kept_file']}"
        yield f"  record    {source['record']}"
        yield "  bronze    " + ("not there: the record could not be read" if way["bronze"] is None else _pairs(way["bronze"]))
        for reason in checks["reasons"]:
            yield f"  rejected  {reason['code']}: {reason['sentence']} ({reason['specification']})"
        if "account_check" in checks:
            table = checks["modulus_table"] or "no weight table"
            modulus = f"account {checks['account_check']}, counterparty {checks['counterparty_check']} ({table})"
            yield f"  checks    every rule passed; modulus: {modulus}"
        yield f"  {'silver' if way['outcome'] == ACCEPTED else 'kept':9} " + _pairs(
            {k: v for k, v in row.items() if k not in (*_SOURCE, *checks)}
        )
        for one in way["decisions"]:
            correction = "" if one["correction"] is None else f" {one['correction']}"
            yield f"  review    {one['act']}{correction} by {one['who']} at {one['decided_at']:%Y-%m-%d %H:%M} UTC: {one['why']}"
    yield from _reckoned(document)


def _reckoned(document: Mapping[str, Any]) -> Iterator[str]:
    features = document["features"]
    if features is not None:
        leg = "" if features["leg_of"] == document["transaction_id"] else f", the second leg of {features['leg_of']}"
        yield f"\nfeatures (version {features['version']}{leg})"
        yield "  " + _pairs({name: round(value, 4) for name, value in features["values"].items()})
    for score in document["scores"]:
        yield f"\nscore {score['score']:.4f}, band {score['band']}, by {score['model_id']} in run {score['run_id']}"
        yield from (f"  {code}: {sentence}" for code, sentence in zip(score["reasons"], score["sentences"], strict=True))
    for shadow in document["shadow_scores"]:
        said = f"{shadow['challenger_id']} said {shadow['challenger_score']}, band {shadow['challenger_band']}"
        yield f"\nrollout {shadow['rollout']} ({shadow['mode']}): {said}"
    for one in document["alerts"]:
        yield f"\nalert {one['alert_id']} ({one['reason']}, {one['fired_date']}, {len(one['evidence'])} payments): {one['sentence']}"
    for table, rows in document["gold"].items():
        for row in rows:
            yield f"\n{table}: {_pairs(row)}"
    for one in document["feedback"]:
        judged = "suspicious" if one["is_suspicious"] else "not suspicious"
        when = f"{one['imported_at']:%Y-%m-%d %H:%M} UTC (run {one['run_id']})"
        yield f"\njudged {judged} {one['typology']} by {one['imported_by']} at {when}"
    for view in document.get("looked_at", ()):
        yield f"\nlooked at by {view['who']} at {view['at']}" + ("" if view["result"] == "succeeded" else f" ({view['result']})")
    for answer in document["answers"]:
        yield f"\nthe service answered: {json.dumps(answer, ensure_ascii=False)}"


def _pairs(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value not in (None, ""))
