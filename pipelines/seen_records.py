"""A payment's way, and a record in quarantine, as somebody may see them: their parts are rows of tables, and are masked as these are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from app.compliance.access import Clearance
from app.compliance.masking import STARS
from app.contracts.lake import ALERTS, BRONZE, CORRECTIONS, FEEDBACK, QUARANTINE, SCORES, SHADOW_SCORES, TABLES
from app.contracts.landing import TABLE as LANDING
from app.contracts.table import Classification

Row = dict[str, Any]

_PARTS: Final = {"scores": SCORES, "shadow_scores": SHADOW_SCORES, "alerts": ALERTS, "feedback": FEEDBACK}
_BY_PATH: Final = {contract.path: contract for contract in TABLES}


def way_seen(found: Mapping[str, Any], clearance: Clearance) -> Row:
    """What ``pipelines.trace`` found.

    Features are figures of the payment and stay. The service's answers are texts of many kinds: of each the payment's id alone is left for
    whoever may not see people's data.
    """
    parts = {name: clearance.of_rows(found[name], contract) for name, contract in _PARTS.items()}
    gold = {path: clearance.of_rows(rows, _BY_PATH[path]) for path, rows in found["gold"].items()}
    ways = [_way(way, clearance) for way in found["ways"]]
    answers = found["answers"]
    if not clearance.is_clear(Classification.PERSONAL) or any(map(_is_hidden(clearance), found["ways"])):
        answers = [{"transaction_id": one["transaction_id"], "answer": STARS} for one in answers]
    return dict(found) | parts | {"ways": ways, "gold": gold, "answers": answers}


def _is_hidden(clearance: Clearance) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a way is of somebody whose data is restricted: by the row, or by the record as bronze has it."""
    return lambda way: clearance.hides(way["row"]) or (way["bronze"] is not None and clearance.hides(way["bronze"]))


def _way(way: Mapping[str, Any], clearance: Clearance) -> Row:
    (row,) = clearance.of_rows([way["row"]], _BY_PATH[way["table"]])
    bronze = None if way["bronze"] is None else clearance.of_rows([way["bronze"]], BRONZE)[0]
    hidden = _is_hidden(clearance)(way)
    source = dict(way["source"]) | {"record": STARS if hidden else _text(way["source"]["record"], clearance)}
    decisions = clearance.of_rows(way["decisions"], CORRECTIONS)
    if hidden:
        decisions = [one | {"correction": None if one["correction"] is None else STARS} for one in decisions]
    return dict(way) | {"row": row, "bronze": bronze, "source": source, "decisions": decisions}


def record_seen(found: Mapping[str, Any], clearance: Clearance) -> Row:
    """What ``app.review.desk.shown`` found of a record in quarantine."""
    decisions = [dict(one) | _values(one, "correction", clearance) for one in found["decisions"]]
    texts = _values(found, "texts", clearance) | _values(found, "correction", clearance)
    raw = _text(found["raw"], clearance)
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


def _text(raw: str, clearance: Clearance) -> str:
    """The record as it came: all of it is one value of quarantine's."""
    if clearance.sees_all_of(QUARANTINE):
        return clearance.opened(raw)
    rows: Sequence[Row] = clearance.of_rows([{"raw_record": raw.encode()}], QUARANTINE)
    seen = rows[0]["raw_record"]
    return STARS if seen is None else bytes(seen).decode()
