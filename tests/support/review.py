"""Reviewers for tests: one who proposes, one who approves, and replays in this process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.compliance.corrections import Decision, Item, correction_of
from app.contracts.lake import ALERTS, QUARANTINE
from app.review import corrections, quarantine
from app.review.corrections import Chosen, Decider
from app.settings import Settings
from pipelines.executor import Executor, InProcess
from pipelines.progress import Observer, Silent
from pipelines.replay import replay
from tests.support.lake import NOW, content, opened, rows

ADA, GRACE = Decider("ada", "the branch's form says so", NOW), Decider("grace", "as the form says", NOW)

COMPARED = ("silver/transactions", "gold/account_daily", "gold/channel_daily", "gold/scores")
SOURCE = ("source_uri", "source_sha256", "record_number")


def items_of(lake: Path) -> dict[int, Item]:
    """The quarantined records of a lake that loaded one file, by record number."""
    return {row["record_number"]: Item(row["source_sha256"], row["record_number"]) for row in rows(lake, QUARANTINE)}


def propose(lake: Path, values: Mapping[Item, Mapping[str, str] | None], by: Decider = ADA) -> int:
    """Propose corrections of these records; returns the proposal's number."""
    kept = quarantine.records(opened(lake)).to_pylist()
    unreadable = {Item(row["source_sha256"], row["record_number"]): quarantine.is_unreadable(row["reasons"]) for row in kept}
    made = {item: None if of is None else correction_of(of, unreadable.get(item, False)) for item, of in values.items()}
    return corrections.propose(opened(lake), made, None, by)[0].proposal


def approve(lake: Path, proposal: int, by: Decider = GRACE) -> list[Decision]:
    return corrections.approve(opened(lake), Chosen(proposal=proposal), by)


def correct(lake: Path, values: Mapping[Item, Mapping[str, str] | None]) -> None:
    """Ada proposes, Grace approves."""
    approve(lake, propose(lake, values))


def replayed(
    lake: Path, settings: Settings | None = None, executor: Executor | None = None, observer: Observer | None = None
) -> dict[str, Any]:
    return replay(opened(lake).storage, settings or Settings(), executor or InProcess(), "grace", observer or Silent(), NOW)


def said(lake: Path) -> dict[str, list[str]]:
    """Silver, daily figures and scores, without where a record came from: of two equal ones either may be the first."""
    return {path: held for path, held in content(lake, SOURCE).items() if path in COMPARED}


def alerts_of(lake: Path) -> dict[str, frozenset[str]]:
    """Each alert's evidence."""
    return {row["alert_id"]: frozenset(row["evidence"]) for row in rows(lake, ALERTS)}
