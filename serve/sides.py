"""Answers without names: on a sealed lake the journal of decisions says of a scenario's account which side of the payment it is.

Decisions are kept as they were given, for good, and a person may have to be erased: the payment has the names, under keys that can be
destroyed. All else in an answer names nobody: sentences have figures, evidence has ids.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_NO_SCENARIO: Final = b'"scenarios":[]'
_SIDES: Final = ("payer", "payee")


def hidden(answer: bytes, payer: str | None, payee: str | None) -> bytes:
    """A scored answer as JSON with ``payer`` or ``payee`` in the place of these accounts, and nothing in the place of any other."""
    if _NO_SCENARIO in answer:
        return answer
    return _with_accounts(orjson.loads(answer), {payer: _SIDES[0], payee: _SIDES[1]} if payer != payee else {payer: _SIDES[0]})


def is_hidden(answer: Mapping[str, Any]) -> bool:
    """Whether names were taken out of a scored answer."""
    return any(hit["account"] is None or hit["account"] in _SIDES for hit in answer["scenarios"])


def shown(answer: Mapping[str, Any], payer: str | None, payee: str | None) -> bytes:
    """The same answer as it was given, by its payment's sides."""
    return _with_accounts(answer, dict(zip(_SIDES, (payer, payee), strict=True)))


def _with_accounts(answer: Mapping[str, Any], names: Mapping[str | None, str | None]) -> bytes:
    hits = [hit | {"account": names.get(hit["account"])} for hit in answer["scenarios"]]
    return orjson.dumps({**answer, "scenarios": hits})
