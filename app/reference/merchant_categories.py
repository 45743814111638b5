"""Merchant category codes of ISO 18245, with the ranges that card schemes give to single airlines, hotels and car hirers."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from app.reference import table


@cache
def merchant_categories() -> Mapping[str, str]:
    """By code, what it means."""
    return MappingProxyType({row["code"]: row["meaning"] for row in table.read("merchant_categories")})
