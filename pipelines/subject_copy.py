"""What somebody is shown of a person: what is held where, and the rows themselves, without the numbers of others.

The copy (UK GDPR Article 15) is the person's own data; the other side of a payment is somebody else (Article 15(4)). What says whether the
person was suspected is apart: it is for officers, and in no copy (POCA 2002 s. 333A, Data Protection Act 2018 sch. 2 para. 2).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.compliance.erasure import OFFICERS, rows_said
from app.compliance.masking import STARS
from app.contracts.lake import TABLES
from app.contracts.table import Classification
from app.lake.lake import Lake
from pipelines.audit import opened
from pipelines.erasure import Asked, listed_one
from pipelines.subject import ANSWERS, PAYMENTS, Person, holds_on, relationships_of

Row = dict[str, Any]

_PAIRS: Final = (("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account"))
_NUMBER: Final = re.compile(r"[0-9]{6}-?[0-9]{8}|[0-9]{8,}|[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}|~[a-z2-7]{16}")
_DIGITS: Final = 8
_OF_ROWS: Final = {contract.path: contract for contract in TABLES}


def document(asked: Asked, looked: Sequence[Row], *, records: bool) -> Row:
    """Everything held on a person: by table how much and of which days, the clocks, holds and decisions, and who has looked at it."""
    person = asked.person
    said: Row = {
        "identifiers": list(person.identifiers),
        "on": asked.basis.on.isoformat(),
        "held": [] if asked.decision is None else _held(asked),
        "relationships": {
            name: {"occasional": one.occasional, "ended": None if one.ended is None else one.ended.isoformat()}
            for name, one in relationships_of(asked.basis, person).items()
        },
        "holds": [{"hold": hold.number, "why": hold.why} for hold in holds_on(asked.basis, person)],
        "if_erased": None if asked.decision is None else asked.decision.document(),
        "decisions": [listed_one(one) for one in asked.made],
        "looked_at": list(looked),
    }
    return said | _records(asked) if records else said


def _held(asked: Asked) -> list[Row]:
    if asked.decision is None:
        return []
    document = asked.decision.document()
    return [*document["goes"], *document["kept"]]


def _records(asked: Asked) -> Row:
    """The rows: the copy for the person, and what is for officers only."""
    copy: Row = {}
    officers: Row = {}
    for path, rows in asked.found.rows.items():
        if rows.num_rows:
            opened = asked.lake.opened(rows).to_pylist()
            shown = [_own(row, one, path, asked) for row, one in zip(rows.to_pylist(), opened, strict=True)]
            (officers if path in OFFICERS else copy)[path] = shown
    for name, kept in ((PAYMENTS, copy), (ANSWERS, officers)):
        lines = asked.found.lines.get(name, [])
        if lines:
            kept[name] = [_masked_line(line, asked.person) for _, line in lines]
    return {"records": copy, "officers_only": officers}


def _own(row: Mapping[str, Any], opened: Mapping[str, Any], path: str, asked: Asked) -> Row:
    """A row, opened, without others' numbers; in texts every number that is not the person's is stars."""
    shown = without_others(row, asked.person, opened)
    contract = _OF_ROWS[path]
    for column in contract.columns:
        value = shown.get(column.name)
        if column.classification is Classification.PERSONAL and isinstance(value, str | bytes) and column.name not in _NAMES:
            shown[column.name] = masked(value if isinstance(value, str) else value.decode(errors="backslashreplace"), asked.person)
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in shown.items()}


_NAMES: Final = frozenset({number for _, number in _PAIRS} | {"payer", "payee", "account", "counterparty_iban"})


def without_others(row: Mapping[str, Any], person: Person, opened: Mapping[str, Any] | None = None) -> Row:
    """A row whose numbers of accounts are the person's, or stars; which bank the other side has stays.

    ``opened`` has the values to show, where those of ``row`` are sealed.
    """
    shown, accounts = dict(opened or row), set(person.accounts)
    for code, number in _PAIRS:
        if shown.get(number) is not None and (re.sub("[ -]", "", str(row.get(code))), row[number]) not in accounts:
            shown[number] = STARS
    for name in ("payer", "payee", "account"):
        if shown.get(name) is not None and row[name] not in person.parties:
            shown[name] = STARS
    iban = row.get("counterparty_iban")
    if iban and not _is_own(str(iban), person):
        shown["counterparty_iban"] = STARS
    return shown


def _masked_line(line: Mapping[str, Any], person: Person) -> Row:
    shown = without_others(line, person)
    return {name: _masked_deep(value, person) if name not in _NAMES else value for name, value in shown.items()}


def _masked_deep(value: Any, person: Person) -> Any:
    if isinstance(value, str):
        return masked(value, person)
    if isinstance(value, list):
        return [_masked_deep(one, person) for one in value]
    return {name: _masked_deep(one, person) for name, one in value.items()} if isinstance(value, dict) else value


def masked(text: str, person: Person) -> str:
    """A text in which every number that could be an account's and is not the person's is stars."""
    return _NUMBER.sub(lambda found: found.group() if _is_own(found.group(), person) else STARS, text)


def _is_own(text: str, person: Person) -> bool:
    """Whether a number in a text is one of the person's."""
    plain = re.sub("[ -]", "", text)
    typed = (one.replace("-", "") for one in person.identifiers)  # tables of a sealed lake have tokens
    if any(plain in (one, one[-_DIGITS:]) for one in typed):
        return True
    return (
        any(plain in (code + number, number) or plain.endswith(code + number) for code, number in person.accounts) or plain in person.ibans
    )


def looked_at(lake: Lake, asked: Asked) -> list[Row]:
    """Who has looked at one of the person's payments or alerts, by the audit trail, the oldest first."""
    ids = asked.found.rows["silver/transactions"]["transaction_id"].to_pylist()
    alerts = asked.found.rows["gold/alerts"]["alert_id"].to_pylist()
    names = {*(f"transaction {one}" for one in ids), *(f"alert {one}" for one in alerts)}
    names |= {f"subject {one}" for one in asked.person.pseudonyms}
    with opened(lake) as log:
        return [
            {"who": one.actor, "at": one.at.isoformat(), "what": one.action, "object": one.object, "result": one.result}
            for one in log.entries()
            if one.object in names
        ]


def lines(shown: Mapping[str, Any]) -> Iterator[str]:
    """What is held, for people."""
    yield f"{', '.join(shown['identifiers'])} on {shown['on']}"
    for one in shown["held"]:
        days = "" if one["first"] is None else f", {one['first']} to {one['last']}"
        clock = "" if one["until"] is None or one["follows"] else f" ({one['until']})"
        holds = f", holds {', '.join(map(str, one['holds']))}" if one["holds"] else ""
        stays = f", {one['stays']}" if one["stays"] else ""
        yield f"  {one['table']} ({one['side']}): {rows_said(one['rows'])}{days}, {one['fate']}{clock}{holds}{stays}"
    for account, known in shown["relationships"].items():
        kind = "occasional customer" if known["occasional"] else "customer"
        yield f"  {account}: {kind}, " + ("goes on" if known["ended"] is None else f"ended on {known['ended']}")
    for hold in shown["holds"]:
        yield f"  hold {hold['hold']}: {hold['why']}"
    for made in shown["decisions"]:
        until = "" if made["until"] is None else f", until {made['until']}"
        yield f"  decision {made['number']} on {made['on']} by {made['by']}: {made['outcome']}{until}"
    for view in shown["looked_at"]:
        yield f"  {view['what']} of {view['object']} by {view['who']} at {view['at']}" + (
            "" if view["result"] == "succeeded" else f" ({view['result']})"
        )
