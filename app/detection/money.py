"""Sums of money as analysts read them."""

from app.reference.currencies import readable_exponents


def money(minor: int, currency: str) -> str:
    """£1,234.56, or 1,234.56 EUR; ``minor`` is not negative."""
    exponent = readable_exponents()[currency]
    whole, rest = divmod(minor, 10**exponent)
    text = f"{whole:,}.{rest:0{exponent}d}" if exponent else f"{whole:,}"
    return f"£{text}" if currency == "GBP" else f"{text} {currency}"


def pounds(minor: int) -> str:
    """£1,234.56."""
    return money(minor, "GBP")
