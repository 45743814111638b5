"""A payment's way as somebody may see it: its parts are rows of tables, and are masked as these are."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.compliance.access import Clearance
from app.compliance.masking import STARS
from app.contracts.lake import ALERTS, BRONZE, CORRECTIONS, FEEDBACK, SCORES, SHADOW_SCORES, TABLES
from app.contracts.table import Classification
from app.review.seen import text_seen

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
    source = dict(way["source"]) | {"record": STARS if hidden else text_seen(way["source"]["record"], clearance)}
    decisions = clearance.of_rows(way["decisions"], CORRECTIONS)
    if hidden:
        decisions = [one | {"correction": None if one["correction"] is None else STARS} for one in decisions]
    return dict(way) | {"row": row, "bronze": bronze, "source": source, "decisions": decisions}
