"""How tables write an account: ``SSSSSS-AAAAAAAA``, or an IBAN; and the account that is inside a GB IBAN."""

from typing import Final

_GB_LENGTH: Final = 22


def account_in(identifier: str) -> str | None:
    """The account that a GB IBAN names (SWIFT IBAN registry: characters 9 to 22), ``SSSSSS-AAAAAAAA``; None if it names none."""
    if identifier.startswith("GB") and len(identifier) == _GB_LENGTH:
        return f"{identifier[8:14]}-{identifier[14:]}"
    return None
