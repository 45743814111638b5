"""A record in quarantine as somebody may see it: its parts are rows of tables, and are masked as these are."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.compliance.access import Clearance
from app.compliance.masking import STARS
from app.contracts.lake import QUARANTINE
from app.contracts.landing import TABLE as LANDING

Row = dict[str, Any]


def record_seen(found: Mapping[str, Any], clearance: Clearance) -> Row:
    """What ``review.desk.shown`` found of a record in quarantine."""
    decisions = [dict(one) | _values(one, "correction", clearance) for one in found["decisions"]]
    texts = _values(found, "texts", clearance) | _values(found, "correction", clearance)
    raw = text_seen(found["raw"], clearance)
    if clearance.hides((found["texts"] or {}) | {name: found.get(name) for name in ("source_sha256", "record_number")}):
        raw, decisions = STARS, [_starred(one, "correction") for one in decisions]
        texts = _starred(texts, "correction") | _starred(texts, "texts")
    return dict(found) | texts | {"raw": raw, "decisions": decisions}


def _starred(of: Mapping[str, Any], name: str) -> Row:
    """Without the values of a part, if it is there."""
    values = of.get(name)
    return dict(of) | ({name: dict.fromkeys(values, STARS)} if values else {})


def _values(of: Mapping[str, Any], name: str, clearance: Clearance) -> Row:
    """A part that has values by the landing contract's columns, if it is there."""
    values = of.get(name)
    return {name: clearance.of_rows([values], LANDING)[0]} if values else {}


def text_seen(raw: str, clearance: Clearance) -> str:
    """The record as it came: all of it is one value of quarantine's."""
    if clearance.sees_all_of(QUARANTINE):
        return clearance.opened(raw)
    rows: Sequence[Row] = clearance.of_rows([{"raw_record": raw.encode()}], QUARANTINE)
    seen = rows[0]["raw_record"]
    return STARS if seen is None else bytes(seen).decode()
