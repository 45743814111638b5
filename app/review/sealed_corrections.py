"""New values of quarantined records, sealed for the people whom the corrected record names."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from app.compliance.corrections import Decision, Item, values_of
from app.contracts.landing import NAMES
from app.lake.lake import Lake
from app.review import quarantine

_ACCOUNT: Final = re.compile(r"[0-9]{6}-[0-9]{8}")


def sealed(lake: Lake, made: Sequence[Decision]) -> Sequence[Decision]:
    """The decisions as they may be kept; call it only while holding the lake's lock, since new people may be named."""
    proposed = [one for one in made if one.correction is not None]
    if lake.subjects is None or not proposed:
        return made
    from app.lake import subjects as key_store
    from app.sealing import NONCE_PREFIX, seal

    texts = _texts(lake, proposed)
    pairs = [_parties(one, texts[one.item]) for one in proposed]
    wanted = sorted({identifier for pair in pairs for identifier in pair if identifier is not None})
    store = key_store.known(lake.subjects, wanted)
    lake.now_with(store)
    own, other = (store.register.find(pa.array([pair[side] for pair in pairs], pa.string())) for side in (0, 1))
    other = np.where([pair[1] is None for pair in pairs], -1, other)
    values = pa.array([one.correction for one in proposed], pa.string())
    cells = seal(values, own, other, store.register.tokens, store.register.secrets, secrets.token_bytes(NONCE_PREFIX)).to_pylist()
    by_item = {one.item: cell for one, cell in zip(proposed, cells, strict=True)}
    return [replace(one, correction=by_item[one.item]) if one.correction is not None else one for one in made]


def _texts(lake: Lake, proposed: Sequence[Decision]) -> Mapping[Item, dict[str, Any]]:
    """The records' texts as they would be; of one that could not be read, the new values alone."""
    rows = quarantine.records(lake)
    wanted = {one.item for one in proposed}
    places = list(map(Item, rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist()))
    originals = quarantine.originals(lake, rows.filter(pa.array([place in wanted for place in places], pa.bool_())))
    found = map(Item, originals["source_sha256"].to_pylist(), originals["record_number"].to_pylist())
    before = dict(zip(found, originals.select(NAMES).to_pylist(), strict=True))
    return {one.item: before.get(one.item, {}) | values_of(str(one.correction)) for one in proposed}


def _parties(decision: Decision, texts: Mapping[str, Any]) -> tuple[str, str | None]:
    """Whose the new values are: the booked account and the other one, where they can be told; else they are the file's."""

    def account(sort_code: str, number: str) -> str | None:
        written = f"{re.sub('[ -]', '', texts.get(sort_code) or '')}-{texts.get(number) or ''}"
        return written if _ACCOUNT.fullmatch(written) else None

    own = account("sort_code", "account_number")
    other = account("counterparty_sort_code", "counterparty_account")
    return own or f"file:{decision.source_sha256}", None if other == own else other
