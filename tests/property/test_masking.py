"""Properties of masking and of tokens, for any values."""

import math

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.compliance.masking import STARS, masked, tokenised
from app.contracts.table import Classification, Column, TableContract

NUMBERS = st.from_regex("[0-9]{6,14}", fullmatch=True)
TEXTS = st.lists(st.none() | NUMBERS | st.text(), max_size=20)
KEYS = st.binary(min_size=16, max_size=32)


def holding(kind: pa.DataType, classification: Classification, path: str = "gold/a", name: str = "a") -> TableContract:
    return TableContract(path, "a", (Column(name, kind, "a", classification),))


def tokens(values: list[str | None], key: bytes, kind: pa.DataType | None = None, name: str = "a") -> list[str | None]:
    kind = kind or pa.string()
    found = tokenised(pa.table({name: pa.array(values, kind)}), holding(kind, Classification.PERSONAL, "gold/b", name), key, ())
    return list(found[name].to_pylist())


@given(TEXTS, TEXTS, KEYS)
def test_one_value_has_one_token_in_every_table_and_two_values_two(first: list[str | None], second: list[str | None], key: bytes) -> None:
    by_value: dict[str | None, str | None] = {}
    for value, token in zip([*first, *second], tokens(first, key) + tokens(second, key, pa.large_string(), "other"), strict=True):
        assert by_value.setdefault(value, token) == token
    assert len(set(by_value.values())) == len(by_value)


@given(TEXTS, KEYS)
def test_nulls_stay_nulls_and_only_they_are(values: list[str | None], key: bytes) -> None:
    assert [token is None for token in tokens(values, key)] == [value is None for value in values]
    for classification in (Classification.CONFIDENTIAL, Classification.PERSONAL):
        found = masked(pa.table({"a": pa.array(values, pa.string())}), holding(pa.string(), classification), ())
        assert [value is None for value in found["a"].to_pylist()] == [value is None for value in values]


@given(st.lists(NUMBERS, min_size=1), KEYS)
def test_a_token_has_no_digit(values: list[str], key: bytes) -> None:
    assert not any(character.isdigit() for token in tokens(list(values), key) for character in token or "")


@given(NUMBERS, st.lists(KEYS, min_size=2, max_size=2, unique=True))
def test_another_lake_has_other_tokens(value: str, keys: list[bytes]) -> None:
    first, second = (tokens([value], key) for key in keys)
    # HMAC fills keys up with zero bytes: two keys are one only if they differ in nothing else.
    assert (first == second) == (keys[0].rstrip(b"\0") == keys[1].rstrip(b"\0"))


@given(st.lists(NUMBERS, max_size=20))
def test_of_a_confidential_number_in_text_two_figures_stay(values: list[str]) -> None:
    found = masked(pa.table({"a": pa.array(values, pa.string())}), holding(pa.string(), Classification.CONFIDENTIAL), ())
    assert found["a"].to_pylist() == [STARS + value[-2:] for value in values]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_of_a_confidential_whole_number_sign_size_and_first_figure_stay(values: list[int | None]) -> None:
    found = masked(pa.table({"a": pa.array(values, pa.int64())}), holding(pa.int64(), Classification.CONFIDENTIAL), ())["a"].to_pylist()
    for value, left in zip(values, found, strict=True):
        if value is None or abs(value) < 10:
            assert left == (None if value is None else 0)
        else:
            assert str(left)[:2].strip("-")[:1] == str(value)[:2].strip("-")[:1]
            assert len(str(left)) == len(str(value))
            assert set(str(abs(left))[1:]) == {"0"}


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_a_masked_float_is_no_larger_and_of_the_same_sign(values: list[float | None]) -> None:
    found = masked(pa.table({"a": pa.array(values, pa.float64())}), holding(pa.float64(), Classification.CONFIDENTIAL), ())["a"].to_pylist()
    for value, left in zip(values, found, strict=True):
        if value is None or not math.isfinite(value):
            assert left is None
        else:
            assert abs(left) <= abs(value) * (1 + 1e-9)
            assert abs(left) * 2.5 >= abs(value)
            assert left * value >= 0


@given(st.lists(st.none() | st.lists(st.none() | NUMBERS, max_size=4), max_size=8), st.integers(0, 3), KEYS)
def test_lists_keep_their_shape(values: list[list[str | None] | None], first: int, key: bytes) -> None:
    kind = pa.list_(pa.string())
    table = pa.table({"a": pa.array(values, kind)}).slice(first)
    contract = holding(kind, Classification.PERSONAL)
    for found in (masked(table, contract, ()), tokenised(table, contract, key, ())):
        shape = [None if row is None else [element is None for element in row] for row in found["a"].to_pylist()]
        assert shape == [None if row is None else [element is None for element in row] for row in values[first:]]
