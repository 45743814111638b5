"""Countries: the 249 alpha-2 codes of ISO 3166-1, and XK.

XK is user-assigned in ISO 3166-1 and means Kosovo in SWIFT's IBAN registry and in the feeds of European banks: taken by
policy. UK, EU and other exceptional reservations are no country codes and are not in the list.
"""

from functools import cache

from app.reference import table


@cache
def countries() -> frozenset[str]:
    """Every alpha-2 code that a record's country may have."""
    return frozenset(row["code"] for row in table.read("countries"))
