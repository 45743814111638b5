"""What a scenario gives an analyst."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.detection.book import Book, Side, instant
from app.features.payments import Int64s
from app.lineage.graph import How, Parts

MADE_OF: Final[Mapping[str, Parts]] = {
    "account": {How.IDENTITY: ("payer", "payee")},
    "sentence": {How.AGGREGATION: ("amount_minor", "booked_at"), How.TRANSFORMATION: ("currency", "country")},
    "fired_at": {How.IDENTITY: ("booked_at",)},
    "fired_by": {How.IDENTITY: ("transaction_id",)},
    "evidence": {How.AGGREGATION: ("transaction_id",)},
}
"""What an alert's values are made of, in columns of silver. That it fires, and when, depends on all of ``book.COLUMNS``."""


@dataclass(frozen=True)
class Alert:
    """One account, one reason, and the payments that made it fire."""

    reason: str  # stable, for programs: the scenario's name and what of it
    account: str  # as silver writes parties
    sentence: str  # for people, with the numbers
    fired_at: int  # when fired_by was booked, in µs since 1970
    fired_by: str  # the transaction_id with which the condition became true
    evidence: tuple[str, ...]  # every transaction_id in the window, in order; the last is fired_by


def alerts(book: Book, side: Side, places: Int64s, begins: Int64s) -> Iterator[tuple[int, "Alert"]]:
    """An alert without its reason for each of these places, whose window begins at ``begins[place]``; its sentence is the window's span.

    Only of the payments that the book is asked about.
    """
    wanted = places if book.asked is None else places[book.asked[side.rows[places]]]
    for place in wanted.tolist():
        rows = side.rows[begins[place] : place + 1]
        evidence = tuple(book.transaction_id[row].as_py() for row in rows.tolist())
        span = f"from {instant(int(side.booked_at[begins[place]]))} to {instant(int(side.booked_at[place]))}"
        row = int(rows[-1])
        names = book.payer if book.payments.payer[row] == side.party[place] else book.payee
        yield place, Alert("", names[row].as_py(), span, int(side.booked_at[place]), evidence[-1], evidence)
