import base64
import secrets

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import sealing, subjects
from app.sealing import ERASED, as_text, is_sealed, opened, seal

KEY, SECRET = bytes(range(16)), bytes(32)
PEOPLE = pa.array([f"990001-{number:08d}" for number in range(5)], pa.string())
REGISTER = subjects.minted(PEOPLE, KEY, SECRET)
VALUES = st.lists(st.tuples(st.none() | st.text(max_size=90), st.integers(0, 4), st.integers(-1, 4)), max_size=20)


def sealed_of(values: pa.Array, own: list[int], other: list[int]) -> pa.Array:
    first, second = (np.array(side, dtype=np.int64) for side in (own, other))
    return seal(values, first, second, REGISTER.tokens, REGISTER.secrets, secrets.token_bytes(sealing.NONCE_PREFIX))


@pytest.mark.parametrize("of", [pa.string(), pa.binary()])
@given(rows=VALUES)
def test_what_was_sealed_is_opened_as_it_was(of: pa.DataType, rows: list[tuple[str | None, int, int]]) -> None:
    values = pa.array([None if text is None else text.encode() for text, _, _ in rows], pa.binary()).cast(of)
    sealed = sealed_of(values, [own for _, own, _ in rows], [other for _, _, other in rows])
    assert sealed.type == of
    assert sealed.null_count == values.null_count
    assert is_sealed(sealed).tolist() == values.is_valid().to_pylist()
    assert opened(sealed, REGISTER).equals(values)


@given(rows=VALUES, gone=st.integers(0, 4))
def test_without_the_secret_of_either_side_a_text_is_erased_and_others_are_not(rows: list[tuple[str | None, int, int]], gone: int) -> None:
    values = pa.array([text for text, _, _ in rows], pa.string())
    sealed = sealed_of(values, [own for _, own, _ in rows], [other for _, _, other in rows])
    left = opened(sealed, REGISTER.without([PEOPLE[gone].as_py()])).to_pylist()
    assert left == [None if text is None else ERASED if gone in (own, other) else text for text, own, other in rows]


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    values = pa.array(["rent"] * 100, pa.string())
    cells = [cell for _ in range(2) for cell in sealed_of(values, [0] * 100, [1] * 100).to_pylist()]
    assert len(set(cells)) == 200


def test_a_sealed_text_is_the_base64_of_sealed_bytes_after_its_mark() -> None:
    for length in range(70):
        (cell,) = sealed_of(pa.array(["x" * length], pa.string()), [2], [-1]).to_pylist()
        data = base64.urlsafe_b64decode(cell[2:] + "=" * (-len(cell[2:]) % 4))
        assert cell[:2] == "~."
        assert data[: subjects.TOKEN_BYTES] == REGISTER.tokens[2].tobytes()
        assert len(data) == subjects.TOKEN_BYTES + 12 + length


def test_bytes_are_shown_as_a_text_that_opens() -> None:
    (cell,) = sealed_of(pa.array([b"\xff\x00raw"], pa.binary()), [0], [3]).to_pylist()
    assert as_text(b"plain") == b"plain"
    shown = as_text(cell).decode()
    assert is_sealed(pa.array([shown], pa.string()))[0]
    data = base64.urlsafe_b64decode(shown[2:] + "=" * (-len(shown[2:]) % 4))
    assert cell == shown[:2].encode() + data


@pytest.mark.parametrize("plain", ["", "~", "~.", "~.short", "rent ~:" + "x" * 60])
def test_what_is_not_sealed_stays(plain: str) -> None:
    values = pa.array([plain, None], pa.string())
    assert opened(values, REGISTER).equals(values)


def test_slices_are_sealed_and_opened() -> None:
    values = pa.array(["a", "b", None, "d"], pa.string())[1:]
    sealed = sealed_of(values, [0, 1, 2], [1, -1, -1])
    assert opened(sealed[1:], REGISTER).to_pylist() == [None, "d"]
    assert opened(sealed, REGISTER).equals(values)
