"""A scenario's thresholds changed on paper: which alerts the lake's payments would have raised before and after."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.access import Clearance
from app.contracts.lake import ALERTS, SILVER
from app.detection.alert import Alert
from app.detection.book import COLUMNS, book
from app.detection.pack import SCENARIOS
from app.detection.thresholds import in_force
from app.errors import UsageError
from app.features.outcomes import SUSPICIOUS
from app.lake.lake import Lake
from pipelines.labels import LabelFile
from pipelines.progress import Observer

_NUMBER = re.compile("[0-9]{1,12}")
_NUDGE_PERCENT = 10
"""How far from the line is near it."""


def changes_of(texts: Sequence[str]) -> dict[str, int]:
    """NAME=NUMBER texts as thresholds."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not _NUMBER.fullmatch(value):
            raise UsageError(f"--set {text}: write it as NAME=NUMBER, such as payments=8; a number has at most 12 digits")
        found[name] = int(value)
    return found


def backtest(
    lake: Lake, name: str, changes: Mapping[str, int], labels: LabelFile | None, examples: int, on: date, observer: Observer
) -> dict[str, Any]:
    """Alerts of a scenario by the thresholds in force and by changed ones; examples of accounts just above and just below the new line."""
    scenario = next((one for one in SCENARIOS if one.name == name), None)
    if scenario is None:
        raise UsageError(f"there is no scenario {name!r}; there are {', '.join(one.name for one in SCENARIOS)}")
    before, after = in_force(name, on), in_force(name, on, changes)
    observer.begun("read", 1)
    silver = lake.table(SILVER).to_pyarrow_table(columns=list(COLUMNS))
    opened = book(silver)
    observer.ended("read")
    observer.begun(name, 1)

    def find(thresholds: Mapping[str, int]) -> list[Alert]:
        return scenario.find(opened, thresholds)

    was, would = find(before), find(after)
    accounts, accounts_after = _accounts(was), _accounts(would)
    above, below = _near(find, after, changes or after, would)
    observer.ended(name)
    return {
        "scenario": name,
        "tested_on": scenario.tested_on or None,
        "payments": silver.num_rows,
        "before": {"thresholds": before, "alerts": len(was), "accounts": len(accounts)},
        "after": {"thresholds": after, "alerts": len(would), "accounts": len(accounts_after)},
        "accounts_gained": len(accounts_after - accounts),
        "accounts_lost": len(accounts - accounts_after),
        "by_typology": None if labels is None else _recall(silver, labels, accounts, accounts_after),
        "just_above": [_shown(alert) for alert in above[:examples]],
        "just_below": [_shown(alert) for alert in below[:examples]],
    }


def as_seen(document: Mapping[str, Any], clearance: Clearance) -> dict[str, Any]:
    """What ``backtest`` found, with its examples of alerts as they may be seen."""
    return dict(document) | {where: clearance.of_rows(document[where], ALERTS) for where in ("just_above", "just_below")}


def _near(
    find: Callable[[Mapping[str, int]], list[Alert]], line: Mapping[str, int], moved: Mapping[str, int], at_line: list[Alert]
) -> tuple[list[Alert], list[Alert]]:
    """Alerts that a line a tenth stricter would not have raised, and those that only one a tenth looser raises.

    Which way is stricter differs from threshold to threshold: the way of fewer alerts.
    """
    above: dict[str, Alert] = {}
    below: dict[str, Alert] = {}
    for name in moved:
        step = max(1, line[name] * _NUDGE_PERCENT // 100)
        ways = sorted((find({**line, name: max(line[name] + by, 0)}) for by in (-step, step)), key=len)
        stricter, looser = (_accounts(way) for way in ways)
        above.update({alert.account: alert for alert in at_line if alert.account not in stricter})
        below.update({alert.account: alert for alert in ways[1] if alert.account in looser - _accounts(at_line)})
    return list(above.values()), list(below.values())


def _accounts(alerts: Sequence[Alert]) -> set[str]:
    return {alert.account for alert in alerts}


def _recall(silver: pa.Table, labels: LabelFile, was: set[str], would: set[str]) -> dict[str, dict[str, Any]]:
    """Of each typology's payments, the share on an account that was alerted, as payer or as payee."""
    found, typologies = labels.of(silver["transaction_id"])
    on = [np.asarray(_touches(silver, accounts)) for accounts in (was, would)]
    names = sorted({str(name) for name in typologies[found == SUSPICIOUS]})
    chosen = {name: (found == SUSPICIOUS) & (typologies == name) for name in names}
    return {
        name or "unnamed": {"payments": int(rows.sum()), "before": float(on[0][rows].mean()), "after": float(on[1][rows].mean())}
        for name, rows in chosen.items()
    }


def _touches(silver: pa.Table, accounts: set[str]) -> Any:
    of = pa.array(sorted(accounts), pa.string())
    return pc.or_(pc.is_in(silver["payer"], of), pc.is_in(silver["payee"], of)).to_numpy()


def _shown(alert: Alert) -> dict[str, Any]:
    return {"account": alert.account, "reason": alert.reason, "sentence": alert.sentence, "evidence": list(alert.evidence)}
