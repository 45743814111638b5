"""High-risk countries, each with the days on which it was listed.

In the UK these are the countries on the two lists of the Financial Action Task Force, since 22 January 2024 (SI 2024/69, which amends
regulation 33(3) of the Money Laundering Regulations 2017): "call for action" and "increased monitoring". The file has every country that
was listed on that day or later, with the days of FATF's statements, up to that of 13 February 2026.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

from app.reference import table


@dataclass(frozen=True)
class HighRiskCountry:
    """A country on one of the lists: from a day, and to the day before another; None while it is listed."""

    country: str
    list: str
    listed: date
    delisted: date | None

    def on(self, day: date) -> bool:
        """Whether it was listed on a day."""
        return self.listed <= day and (self.delisted is None or day < self.delisted)


@cache
def high_risk_countries() -> tuple[HighRiskCountry, ...]:
    """Every listing."""
    return tuple(
        HighRiskCountry(row["country"], row["list"], date.fromisoformat(row["from"]), date.fromisoformat(row["to"]) if row["to"] else None)
        for row in table.read("high_risk_countries")
    )
