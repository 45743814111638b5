"""Whoever has less never sees more, and may never do more."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.compliance.access import Clearance, allowed, visible
from app.compliance.roles import Action, Role
from app.contracts.table import Classification, Column, TableContract

ROLES = st.sets(st.sampled_from(list(Role)))
TEXTS = st.lists(st.none() | st.from_regex("[0-9]{6,14}", fullmatch=True) | st.text(max_size=8), max_size=12)
NUMBERS = st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=12)
KEYS = st.binary(min_size=16, max_size=16)


def seen(values: list[object], kind: pa.DataType, classification: Classification, roles: set[Role], key: bytes) -> list[object]:
    contract = TableContract("gold/a", "a", (Column("a", kind, "a", classification),))
    return list(Clearance(visible(roles), key).of(pa.table({"a": pa.array(values, kind)}), contract)["a"].to_pylist())


@given(ROLES, ROLES, st.sampled_from(list(Classification)), TEXTS | NUMBERS, KEYS)
def test_with_more_roles_whatever_could_be_told_apart_still_can(
    few: set[Role], others: set[Role], classification: Classification, values: list[object], key: bytes
) -> None:
    kind = pa.string() if any(isinstance(value, str) for value in values) else pa.int64()
    less = seen(values, kind, classification, few, key)
    more = seen(values, kind, classification, few | others, key)
    told: dict[object, object] = {}
    for fewer, richer in zip(less, more, strict=True):
        # What more roles see decides what fewer see: so fewer learn nothing that more do not.
        assert told.setdefault(richer, fewer) == fewer


@given(ROLES, ROLES, st.sampled_from(list(Action)))
def test_with_more_roles_whatever_was_allowed_still_is(few: set[Role], others: set[Role], action: Action) -> None:
    assert allowed(few | others, action) or not allowed(few, action)


@given(ROLES, st.sampled_from(list(Classification)), TEXTS, KEYS)
def test_nothing_is_seen_that_is_neither_the_value_nor_said_to_be_less(
    roles: set[Role], classification: Classification, values: list[object], key: bytes
) -> None:
    clearance = Clearance(visible(roles), key)
    found = seen(values, pa.string(), classification, roles, key)
    assert (found == values) or not clearance.is_clear(classification)
    assert [value is None for value in found] == [value is None for value in values] or set(found) <= {None}
